# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.nestd1.Module as a table. Made by packaging/api/generate.py: change the XML."""

from __future__ import annotations

from nestd.formats.api.table import InterfaceTable, MethodTable, PropertyTable

TABLE = InterfaceTable(
    name="org.nestd1.Module",
    methods={
        "SetNested": MethodTable(
            takes=(
                ("enabled", "b"),
                ("when", "s"),
                ("options", "a{sv}"),
            ),
            gives=(("job", "o"),),
        ),
        "SetParameters": MethodTable(
            takes=(
                ("parameters", "a{ss}"),
                ("when", "s"),
                ("options", "a{sv}"),
            ),
            gives=(("job", "o"),),
        ),
        "Reload": MethodTable(
            takes=(
                ("when", "s"),
                ("options", "a{sv}"),
            ),
            gives=(("job", "o"),),
        ),
        "Plan": MethodTable(
            takes=(
                ("parameters", "a{ss}"),
                ("when", "s"),
            ),
            gives=(("plan", "a{sv}"),),
        ),
        "ListBlockers": MethodTable(
            takes=(),
            gives=(("blockers", "a(ssus)"),),
        ),
        "CanReload": MethodTable(
            takes=(),
            gives=(("result", "s"),),
        ),
        "Unload": MethodTable(
            takes=(
                ("when", "s"),
                ("options", "a{sv}"),
            ),
            gives=(("job", "o"),),
        ),
        "Load": MethodTable(
            takes=(("options", "a{sv}"),),
            gives=(),
        ),
    },
    properties={
        "Name": PropertyTable("s", "read", "const"),
        "Availability": PropertyTable("s", "read", "true"),
        "Loaded": PropertyTable("b", "read", "true"),
        "RefCount": PropertyTable("i", "read", "false"),
        "Parameters": PropertyTable("a{ss}", "read", "true"),
        "Configured": PropertyTable("a{ss}", "read", "true"),
        "Assignments": PropertyTable("a(sssu)", "read", "true"),
        "Nested": PropertyTable("s", "read", "true"),
        "NestedConfigured": PropertyTable("s", "read", "true"),
        "NestedNext": PropertyTable("s", "read", "true"),
        "State": PropertyTable("s", "read", "true"),
    },
    signals={},
    xml="""<interface name="org.nestd1.Module">
    <property name="Name" type="s" access="read">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="const" />
    </property>
    <property name="Availability" type="s" access="read" />
    <property name="Loaded" type="b" access="read" />
    <property name="RefCount" type="i" access="read">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="false" />
    </property>
    <property name="Parameters" type="a{ss}" access="read" />
    <property name="Configured" type="a{ss}" access="read" />
    <property name="Assignments" type="a(sssu)" access="read" />
    <property name="Nested" type="s" access="read" />
    <property name="NestedConfigured" type="s" access="read" />
    <property name="NestedNext" type="s" access="read" />
    <property name="State" type="s" access="read" />
    <method name="SetNested">
      <arg name="enabled" type="b" direction="in" />
      <arg name="when" type="s" direction="in" />
      <arg name="options" type="a{sv}" direction="in" />
      <arg name="job" type="o" direction="out" />
    </method>
    <method name="SetParameters">
      <arg name="parameters" type="a{ss}" direction="in" />
      <arg name="when" type="s" direction="in" />
      <arg name="options" type="a{sv}" direction="in" />
      <arg name="job" type="o" direction="out" />
    </method>
    <method name="Reload">
      <arg name="when" type="s" direction="in" />
      <arg name="options" type="a{sv}" direction="in" />
      <arg name="job" type="o" direction="out" />
    </method>
    <method name="Plan">
      <arg name="parameters" type="a{ss}" direction="in" />
      <arg name="when" type="s" direction="in" />
      <arg name="plan" type="a{sv}" direction="out" />
    </method>
    <method name="ListBlockers">
      <arg name="blockers" type="a(ssus)" direction="out" />
    </method>
    <method name="CanReload">
      <arg name="result" type="s" direction="out" />
    </method>
    <method name="Unload">
      <arg name="when" type="s" direction="in" />
      <arg name="options" type="a{sv}" direction="in" />
      <arg name="job" type="o" direction="out" />
    </method>
    <method name="Load">
      <arg name="options" type="a{sv}" direction="in" />
    </method>
  </interface>""",
)
