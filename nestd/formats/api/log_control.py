# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.freedesktop.LogControl1 as a table. Made by packaging/api/generate.py: change the XML."""

from __future__ import annotations

from nestd.formats.api.table import InterfaceTable, PropertyTable

TABLE = InterfaceTable(
    name="org.freedesktop.LogControl1",
    methods={},
    properties={
        "LogLevel": PropertyTable("s", "readwrite", "false"),
        "LogTarget": PropertyTable("s", "readwrite", "false"),
        "SyslogIdentifier": PropertyTable("s", "read", "false"),
    },
    signals={},
    xml="""<interface name="org.freedesktop.LogControl1">
    <property name="LogLevel" type="s" access="readwrite">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="false" />
    </property>
    <property name="LogTarget" type="s" access="readwrite">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="false" />
    </property>
    <property name="SyslogIdentifier" type="s" access="read">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="false" />
    </property>
  </interface>""",
)
