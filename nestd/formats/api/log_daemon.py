# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.nestd1.LogDaemon as a table. Made by packaging/api/generate.py: change the XML."""

from __future__ import annotations

from nestd.formats.api.table import InterfaceTable, MethodTable, PropertyTable

TABLE = InterfaceTable(
    name="org.nestd1.LogDaemon",
    methods={
        "GetRunning": MethodTable(
            takes=(),
            gives=(
                ("filters", "s"),
                ("outputs", "s"),
            ),
        ),
        "SetFilters": MethodTable(
            takes=(
                ("filters", "s"),
                ("when", "s"),
                ("options", "a{sv}"),
            ),
            gives=(),
        ),
        "CheckFilters": MethodTable(
            takes=(
                ("filters", "s"),
                ("outputs", "s"),
            ),
            gives=(
                ("canonical", "s"),
                ("warnings", "as"),
            ),
        ),
        "StartDebug": MethodTable(
            takes=(
                ("filters", "s"),
                ("seconds", "u"),
                ("options", "a{sv}"),
            ),
            gives=(),
        ),
        "StopDebug": MethodTable(
            takes=(),
            gives=(),
        ),
        "Plan": MethodTable(
            takes=(
                ("filters", "s"),
                ("options", "a{sv}"),
            ),
            gives=(("plan", "a{sv}"),),
        ),
    },
    properties={
        "Name": PropertyTable("s", "read", "const"),
        "ConfigFile": PropertyTable("s", "read", "const"),
        "Active": PropertyTable("b", "read", "true"),
        "Filters": PropertyTable("s", "read", "true"),
        "Outputs": PropertyTable("s", "read", "true"),
        "Level": PropertyTable("u", "read", "true"),
        "OverriddenBy": PropertyTable("s", "read", "true"),
        "DebugUntil": PropertyTable("t", "read", "true"),
        "ConfigError": PropertyTable("s", "read", "true"),
    },
    signals={},
    xml="""<interface name="org.nestd1.LogDaemon">
    <property name="Name" type="s" access="read">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="const" />
    </property>
    <property name="ConfigFile" type="s" access="read">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="const" />
    </property>
    <property name="Active" type="b" access="read" />
    <property name="Filters" type="s" access="read" />
    <property name="Outputs" type="s" access="read" />
    <property name="Level" type="u" access="read" />
    <property name="OverriddenBy" type="s" access="read" />
    <property name="DebugUntil" type="t" access="read" />
    <property name="ConfigError" type="s" access="read" />
    <method name="GetRunning">
      <arg name="filters" type="s" direction="out" />
      <arg name="outputs" type="s" direction="out" />
    </method>
    <method name="SetFilters">
      <arg name="filters" type="s" direction="in" />
      <arg name="when" type="s" direction="in" />
      <arg name="options" type="a{sv}" direction="in" />
    </method>
    <method name="CheckFilters">
      <arg name="filters" type="s" direction="in" />
      <arg name="outputs" type="s" direction="in" />
      <arg name="canonical" type="s" direction="out" />
      <arg name="warnings" type="as" direction="out" />
    </method>
    <method name="StartDebug">
      <arg name="filters" type="s" direction="in" />
      <arg name="seconds" type="u" direction="in" />
      <arg name="options" type="a{sv}" direction="in" />
    </method>
    <method name="StopDebug" />
    <method name="Plan">
      <arg name="filters" type="s" direction="in" />
      <arg name="options" type="a{sv}" direction="in" />
      <arg name="plan" type="a{sv}" direction="out" />
    </method>
  </interface>""",
)
