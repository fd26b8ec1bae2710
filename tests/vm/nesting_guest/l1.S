# SPDX-License-Identifier: LGPL-2.1-or-later
# A hypervisor in a boot sector. It writes "svm" or "no svm" to the serial port, depending on its
# processor. Each press of the power button starts or stops its own guest, which only halts: it runs
# about 18 times a second, between clock ticks. If the symbol "loaded" is defined, it sets EFER.SVME
# at once, and then waits. (AMD64 manual, volume 2, chapter 15.)

    .set vmcb, 0x10000
    .set saved_host, 0x11000

    .code16
    .globl _start
_start:
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7c00, %sp
    movw $0x602, %dx            # ACPI: PM1 enable, the power button
    movw $0x100, %ax
    outw %ax, %dx
    movl $0x80000001, %eax
    cpuid
    movw $withheld, %si
    testb $4, %cl
    jz 1f
    movw $given, %si
    .ifdef loaded               # EFER.SVME, as a hypervisor sets it before it runs its first guest
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x1000, %eax
    wrmsr
    .endif
1:  movw $0x3f8, %dx
2:  lodsb
    testb %al, %al
    jz tick
    outb %al, %dx
    jmp 2b

tick:
    sti
    hlt
    movw $0x600, %dx            # PM1 status
    inw %dx, %ax
    testb $1, %ah
    jz 1f
    movw $0x100, %ax
    outw %ax, %dx
    xorb $1, running
1:  cmpb $0, running
    je tick
    cli
    lgdtl gdtr
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $8, $protected

    .code32
protected:
    movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $0xc0000080, %ecx      # EFER.SVME
    rdmsr
    orl $0x1000, %eax
    wrmsr
    movl $0xc0010117, %ecx      # VM_HSAVE_PA
    movl $saved_host, %eax
    xorl %edx, %edx
    wrmsr
    movl $vmcb, %edi
    movl %edi, %ebx
    xorl %eax, %eax
    movl $0x400, %ecx
    cld
    rep stosl
    movb $1, 0x0f(%ebx)         # intercept HLT
    movb $1, 0x10(%ebx)         # and VMRUN, as required
    movb $1, 0x58(%ebx)         # ASID
    leal 0x400(%ebx), %edi      # es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr
    movl $10, %ecx
1:  movb $0x93, 2(%edi)
    movw $0xffff, 4(%edi)
    addl $16, %edi
    loop 1b
    movb $0x9b, 0x412(%ebx)     # cs
    movb $0x82, 0x472(%ebx)     # ldtr
    movb $0x8b, 0x492(%ebx)     # tr
    movb $0x10, 0x4d1(%ebx)     # efer
    movb $0x10, 0x558(%ebx)     # cr0
    movw $0x400, 0x560(%ebx)    # dr7
    movl $0xffff0ff0, 0x568(%ebx)
    movb $2, 0x570(%ebx)        # rflags
    movw $guest, 0x578(%ebx)    # rip
    movl %ebx, %eax
    vmrun
    stgi
    ljmp $24, $back

    .code16
back:
    movl %cr0, %eax
    andb $0xfe, %al
    movl %eax, %cr0
    ljmp $0, $real
real:
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    jmp tick

guest:
    hlt
    jmp guest

gdt:
    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00009b000000ffff
gdtr:
    .word . - gdt - 1
    .long gdt
given:
    .asciz "svm\n"
withheld:
    .asciz "no svm\n"
running:
    .byte 0
    .org 510
    .word 0xaa55
    .org 1474560
