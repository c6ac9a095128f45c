/* cpu.c - the CPU as a device: each node's kernel for this machine */
#include "cpu/speeds.h"

static const cm_kernel *kernel(const cm_node *n)
{
    return cm_cpu_kernel(n, cm_cpu_isa());
}

const cm_device *cm_cpu_device(void)
{
    static const cm_device cpu = {"cpu", kernel, cm_cpu_measure};
    return &cpu;
}
