# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.nestd1.Manager as a table. Made by packaging/api/generate.py: change the XML."""

from __future__ import annotations

from nestd.formats.api.table import InterfaceTable, MethodTable, PropertyTable

TABLE = InterfaceTable(
    name="org.nestd1.Manager",
    methods={
        "ListMachines": MethodTable(
            takes=(),
            gives=(("machines", "a(usss)"),),
        ),
        "GetModule": MethodTable(
            takes=(("name", "s"),),
            gives=(("module", "o"),),
        ),
        "GetLogDaemon": MethodTable(
            takes=(("name", "s"),),
            gives=(("daemon", "o"),),
        ),
        "Validate": MethodTable(
            takes=(),
            gives=(("findings", "a(ssss)"),),
        ),
        "CheckGuest": MethodTable(
            takes=(("domain_xml", "s"),),
            gives=(
                ("ready", "b"),
                ("findings", "a(ssss)"),
            ),
        ),
        "Describe": MethodTable(
            takes=(),
            gives=(("json", "s"),),
        ),
        "CollectLogs": MethodTable(
            takes=(("options", "a{sv}"),),
            gives=(("archive", "h"),),
        ),
        "Inhibit": MethodTable(
            takes=(
                ("who", "s"),
                ("why", "s"),
            ),
            gives=(("guard", "h"),),
        ),
        "ListInhibitors": MethodTable(
            takes=(),
            gives=(("inhibitors", "a(ssuu)"),),
        ),
        "GetJob": MethodTable(
            takes=(("id", "u"),),
            gives=(("job", "o"),),
        ),
        "CheckAccess": MethodTable(
            takes=(("actions", "as"),),
            gives=(("access", "a{ss}"),),
        ),
        "ListGuests": MethodTable(
            takes=(),
            gives=(("guests", "aa{sv}"),),
        ),
    },
    properties={
        "Version": PropertyTable("s", "read", "const"),
        "Vendor": PropertyTable("s", "read", "const"),
        "HostModule": PropertyTable("o", "read", "const"),
        "HostVirtualization": PropertyTable("s", "read", "const"),
        "MachineCount": PropertyTable("u", "read", "true"),
        "Nested": PropertyTable("s", "read", "true"),
        "NestedAtBoot": PropertyTable("s", "read", "true"),
        "NestedDecidedBy": PropertyTable("s", "read", "true"),
        "Backend": PropertyTable("s", "read", "true"),
        "MachinesKnown": PropertyTable("b", "read", "true"),
    },
    signals={
        "JobNew": (
            ("id", "u"),
            ("job", "o"),
        ),
        "JobRemoved": (
            ("id", "u"),
            ("job", "o"),
            ("result", "s"),
        ),
        "MachinesChanged": (),
        "InhibitorsChanged": (),
    },
    xml="""<interface name="org.nestd1.Manager">
    <property name="Version" type="s" access="read">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="const" />
    </property>
    <property name="Vendor" type="s" access="read">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="const" />
    </property>
    <property name="HostModule" type="o" access="read">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="const" />
    </property>
    <property name="HostVirtualization" type="s" access="read">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="const" />
    </property>
    <property name="MachineCount" type="u" access="read" />
    <method name="ListMachines">
      <arg name="machines" type="a(usss)" direction="out" />
    </method>
    <method name="GetModule">
      <arg name="name" type="s" direction="in" />
      <arg name="module" type="o" direction="out" />
    </method>
    <method name="GetLogDaemon">
      <arg name="name" type="s" direction="in" />
      <arg name="daemon" type="o" direction="out" />
    </method>
    <method name="Validate">
      <arg name="findings" type="a(ssss)" direction="out" />
    </method>
    <method name="CheckGuest">
      <arg name="domain_xml" type="s" direction="in" />
      <arg name="ready" type="b" direction="out" />
      <arg name="findings" type="a(ssss)" direction="out" />
    </method>
    <method name="Describe">
      <arg name="json" type="s" direction="out" />
    </method>
    <method name="CollectLogs">
      <arg name="options" type="a{sv}" direction="in" />
      <arg name="archive" type="h" direction="out" />
    </method>
    <method name="Inhibit">
      <arg name="who" type="s" direction="in" />
      <arg name="why" type="s" direction="in" />
      <arg name="guard" type="h" direction="out" />
    </method>
    <method name="ListInhibitors">
      <arg name="inhibitors" type="a(ssuu)" direction="out" />
    </method>
    <method name="GetJob">
      <arg name="id" type="u" direction="in" />
      <arg name="job" type="o" direction="out" />
    </method>
    <method name="CheckAccess">
      <arg name="actions" type="as" direction="in" />
      <arg name="access" type="a{ss}" direction="out" />
    </method>
    <signal name="JobNew">
      <arg name="id" type="u" />
      <arg name="job" type="o" />
    </signal>
    <signal name="JobRemoved">
      <arg name="id" type="u" />
      <arg name="job" type="o" />
      <arg name="result" type="s" />
    </signal>
    <property name="Nested" type="s" access="read" />
    <property name="NestedAtBoot" type="s" access="read" />
    <property name="NestedDecidedBy" type="s" access="read" />
    <property name="Backend" type="s" access="read" />
    <property name="MachinesKnown" type="b" access="read" />
    <signal name="MachinesChanged" />
    <signal name="InhibitorsChanged" />
    <method name="ListGuests">
      <arg name="guests" type="aa{sv}" direction="out" />
    </method>
  </interface>""",
)
