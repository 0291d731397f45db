import Glibc

/// The basics that every exporter has, read from `/proc/self` at each scrape.
public enum ProcessMetrics {
  /// Adds the process's own metrics and `spillway_build_info`.
  public static func register(in registry: MetricRegistry, version: String) {
    registry.register(
      "process_cpu_seconds_total",
      help: "User and system CPU time of the process.",
      .counter
    ) { [MetricSample(cpuSeconds())] }
    gauge(registry, "process_resident_memory_bytes", "Resident memory of the process.") {
      residentBytes()
    }
    gauge(registry, "process_open_fds", "Open file descriptors.") { openDescriptors() }
    gauge(registry, "process_max_fds", "Most file descriptors that may be open.") {
      descriptorLimit()
    }
    let start = startTime()
    gauge(registry, "process_start_time_seconds", "Start of the process since 1970.") { start }
    registry.register("spillway_build_info", help: "The version that runs.", .gauge) {
      [MetricSample(1, ["version": version])]
    }
  }

  private static func gauge(
    _ registry: MetricRegistry,
    _ name: String,
    _ help: String,
    read: @escaping @Sendable () -> Double?
  ) {
    registry.register(name, help: help, .gauge) { read().map { [MetricSample($0)] } ?? [] }
  }

  private static func cpuSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  private static func residentBytes() -> Double? {
    let fields = text(of: "/proc/self/statm").split(separator: " ")
    guard fields.count > 1, let pages = Double(fields[1]) else { return nil }
    return pages * Double(sysconf(Int32(_SC_PAGESIZE)))
  }

  private static func openDescriptors() -> Double? {
    guard let folder = opendir("/proc/self/fd") else { return nil }
    defer { closedir(folder) }
    // `.`, `..` and the folder itself.
    var count = -3.0
    while readdir(folder) != nil { count += 1 }
    return max(0, count)
  }

  private static func descriptorLimit() -> Double? {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return nil }
    return Double(limit.rlim_cur)
  }

  /// The boot time and the start since then, in ticks: field 22 of `stat`, of which the second is a
  /// name that may hold blanks and brackets.
  private static func startTime() -> Double? {
    let stat = text(of: "/proc/self/stat")
    guard let name = stat.lastIndex(of: ")") else { return nil }
    let fields = stat[name...].split(separator: " ")
    let boot = text(of: "/proc/stat").split(separator: "\n").first { $0.hasPrefix("btime ") }
    guard fields.count > 20, let ticks = Double(fields[20]),
      let seconds = boot?.split(separator: " ").last.flatMap({ Double($0) })
    else { return nil }
    return seconds + ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
  }

  private static func text(of path: String) -> String {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return "" }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 65_536)
    var used = 0
    while used < bytes.count {
      let count = bytes.withUnsafeMutableBytes { room in
        read(file, room.baseAddress.map { $0 + used }, room.count - used)
      }
      guard count > 0 else { break }
      used += count
    }
    return String(decoding: bytes[..<used], as: UTF8.self)
  }
}
