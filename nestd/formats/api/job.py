# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.nestd1.Job as a table. Made by packaging/api/generate.py: change the XML."""

from __future__ import annotations

from nestd.formats.api.table import InterfaceTable, MethodTable, PropertyTable

TABLE = InterfaceTable(
    name="org.nestd1.Job",
    methods={
        "Cancel": MethodTable(
            takes=(),
            gives=(),
        ),
    },
    properties={
        "Id": PropertyTable("u", "read", "const"),
        "Kind": PropertyTable("s", "read", "const"),
        "Subject": PropertyTable("o", "read", "const"),
        "StartedByUid": PropertyTable("u", "read", "const"),
        "State": PropertyTable("s", "read", "true"),
        "Blockers": PropertyTable("a(ssus)", "read", "true"),
        "Error": PropertyTable("s", "read", "true"),
    },
    signals={},
    xml="""<interface name="org.nestd1.Job">
    <property name="Id" type="u" access="read">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="const" />
    </property>
    <property name="Kind" type="s" access="read">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="const" />
    </property>
    <property name="Subject" type="o" access="read">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="const" />
    </property>
    <property name="StartedByUid" type="u" access="read">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="const" />
    </property>
    <property name="State" type="s" access="read" />
    <property name="Blockers" type="a(ssus)" access="read" />
    <property name="Error" type="s" access="read" />
    <method name="Cancel" />
  </interface>""",
)
