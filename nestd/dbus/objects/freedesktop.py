# SPDX-License-Identifier: LGPL-2.1-or-later
"""The interfaces that every object has. Made by packaging/api/generate.py: change the XML."""

from __future__ import annotations

from nestd.dbus.objects.interface import InterfaceSpec, MethodSpec

INTROSPECTABLE = InterfaceSpec(
    name="org.freedesktop.DBus.Introspectable",
    methods={
        "Introspect": MethodSpec("", "s"),
    },
    properties={},
    signals={},
    xml="""<interface name="org.freedesktop.DBus.Introspectable">
    <method name="Introspect">
      <arg name="xml_data" type="s" direction="out" />
    </method>
  </interface>""",
)

OBJECT_MANAGER = InterfaceSpec(
    name="org.freedesktop.DBus.ObjectManager",
    methods={
        "GetManagedObjects": MethodSpec("", "a{oa{sa{sv}}}"),
    },
    properties={},
    signals={
        "InterfacesAdded": "oa{sa{sv}}",
        "InterfacesRemoved": "oas",
    },
    xml="""<interface name="org.freedesktop.DBus.ObjectManager">
    <method name="GetManagedObjects">
      <arg name="objects" type="a{oa{sa{sv}}}" direction="out" />
    </method>
    <signal name="InterfacesAdded">
      <arg name="object" type="o" />
      <arg name="interfaces_and_properties" type="a{sa{sv}}" />
    </signal>
    <signal name="InterfacesRemoved">
      <arg name="object" type="o" />
      <arg name="interfaces" type="as" />
    </signal>
  </interface>""",
)

PEER = InterfaceSpec(
    name="org.freedesktop.DBus.Peer",
    methods={
        "Ping": MethodSpec("", ""),
        "GetMachineId": MethodSpec("", "s"),
    },
    properties={},
    signals={},
    xml="""<interface name="org.freedesktop.DBus.Peer">
    <method name="Ping" />
    <method name="GetMachineId">
      <arg name="machine_uuid" type="s" direction="out" />
    </method>
  </interface>""",
)

PROPERTIES = InterfaceSpec(
    name="org.freedesktop.DBus.Properties",
    methods={
        "Get": MethodSpec("ss", "v"),
        "GetAll": MethodSpec("s", "a{sv}"),
        "Set": MethodSpec("ssv", ""),
    },
    properties={},
    signals={
        "PropertiesChanged": "sa{sv}as",
    },
    xml="""<interface name="org.freedesktop.DBus.Properties">
    <method name="Get">
      <arg name="interface_name" type="s" direction="in" />
      <arg name="property_name" type="s" direction="in" />
      <arg name="value" type="v" direction="out" />
    </method>
    <method name="GetAll">
      <arg name="interface_name" type="s" direction="in" />
      <arg name="props" type="a{sv}" direction="out" />
    </method>
    <method name="Set">
      <arg name="interface_name" type="s" direction="in" />
      <arg name="property_name" type="s" direction="in" />
      <arg name="value" type="v" direction="in" />
    </method>
    <signal name="PropertiesChanged">
      <arg name="interface_name" type="s" />
      <arg name="changed_properties" type="a{sv}" />
      <arg name="invalidated_properties" type="as" />
    </signal>
  </interface>""",
)
