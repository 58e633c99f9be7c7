/** Numbers up to which kernels/lib/quotient.wgsl divides exactly. */
export const MOST_INDICES = 2 ** 22;
