/// Reads the clock and calls the kernel; the only target that does.
internal import Units
