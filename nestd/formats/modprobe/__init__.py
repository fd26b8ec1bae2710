# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe.d and module parameters, exactly as libkmod and the kernel read them.

logical_lines cuts a file into lines, modprobe_d into statements; next_load says what the next
`modprobe NAME` passes, edit changes one module's options in a file. kernel_params parses values as
the kernel does. Imports nothing but the standard library. Begin with next_load.
"""
