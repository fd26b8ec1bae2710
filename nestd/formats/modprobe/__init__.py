# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe.d and module parameters, exactly as libkmod and the kernel read them.

logical_lines cuts a file into lines, modprobe_d into statements; next_load says what the next
`modprobe NAME` passes, edit changes one file and nothing else in it. kernel_params is the kernel's
own reading of values. Imports nothing but the standard library. Begin with next_load.
"""
