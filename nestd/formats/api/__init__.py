# SPDX-License-Identifier: LGPL-2.1-or-later
"""The D-Bus contract: one XML file per interface, and the tables generated from them.

The service exports the interfaces from the tables, nestctl builds its calls from them, and neither
parses XML at start. Edit the XML; packaging/api/generate.py generates the tables, and a test
compares them. Imports nothing from nestd. Begin with org.nestd1.Manager.xml.
"""
