/* cpu.c - the CPU as a device: each op's kernel for this machine */
#include "cpu/speeds.h"

static const cm_kernel *kernel(cm_op_id op)
{
    return cm_cpu_kernel(op, cm_cpu_isa());
}

const cm_device *cm_cpu_device(void)
{
    static const cm_device cpu = {"cpu", kernel, cm_cpu_measure};
    return &cpu;
}
