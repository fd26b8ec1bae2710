# SPDX-License-Identifier: LGPL-2.1-or-later
"""The D-Bus contract: one XML file an interface, and the tables that are made of them.

The service exports what the tables say, nestctl calls by them, and no start parses XML. The XML is
what is edited; packaging/api/generate.py makes the tables, and a test compares them. Imports
nothing of nestd. Begin with org.nestd1.Manager.xml.
"""
