internal import Glibc

/// How much of the memory that this process may use is in use, read from files; slow plane only.
///
/// The bound is that of its control groups (version 2), each of which counts, and the machine's. What
/// counts as used is what the kernel cannot take back: in a control group all but caches, which has
/// the buffers of sockets in it; of the machine what is resident, since what others use is not ours
/// to give back.
public struct MemoryUse: Sendable {
  private let groupFile: String
  private let groups: String
  private let residentFile: String
  /// Bytes of the machine, 0 where that is not known; read once, since it does not change.
  private let machineBytes: Double

  /// Levels of control groups that are looked at, the deepest first.
  static let mostLevels = 32

  /// - Parameters:
  ///   - process: The process's folder of the kernel.
  ///   - groups: Where control groups are mounted.
  ///   - machine: The kernel's file about memory.
  public init(
    process: String = "/proc/self",
    groups: String = "/sys/fs/cgroup",
    machine: String = "/proc/meminfo"
  ) {
    groupFile = process + "/cgroup"
    residentFile = process + "/statm"
    self.groups = groups
    machineBytes = Self.bytes(ofMachine: machine)
  }

  /// The share in use, in `0...1`; 0 where nothing can be read.
  public var share: Double {
    var most = machineShare
    var path = groupPath
    for _ in 0..<Self.mostLevels {
      most = max(most, Self.share(ofGroup: groups + path))
      guard let slash = path.lastIndex(of: "/") else { break }
      path = String(path[..<slash])
    }
    return most
  }

  /// The path of the process's group below the mount, without the last slash; empty for the root.
  ///
  /// One that lies outside of what is mounted here says `..`, and has only the root to look at.
  private var groupPath: String {
    let lines = (FileText.read(groupFile) ?? "").split(separator: "\n")
    guard let line = lines.first(where: { $0.hasPrefix("0::/") }), !line.contains("..") else {
      return ""
    }
    let path = line.dropFirst("0::".count)
    return path == "/" ? "" : String(path)
  }

  private static func share(ofGroup folder: String) -> Double {
    guard let limit = number(FileText.read(folder + "/memory.max")), limit > 0,
      let current = number(FileText.read(folder + "/memory.current"))
    else { return 0 }
    var used = current
    for line in (FileText.read(folder + "/memory.stat") ?? "").split(separator: "\n") {
      let words = line.split(separator: " ")
      guard words.count == 2, caches.contains(words[0]) else { continue }
      used -= Double(words[1]) ?? 0
    }
    return min(1, max(0, used) / limit)
  }

  /// What the kernel gives back before it kills anybody.
  private static let caches: Set<Substring> = ["active_file", "inactive_file", "slab_reclaimable"]

  private var machineShare: Double {
    let fields = (FileText.read(residentFile) ?? "").split(separator: " ")
    guard fields.count > 1, let pages = Double(fields[1]), machineBytes > 0 else { return 0 }
    return min(1, max(0, pages * Double(sysconf(Int32(_SC_PAGESIZE))) / machineBytes))
  }

  private static func bytes(ofMachine file: String) -> Double {
    let lines = (FileText.read(file) ?? "").split(separator: "\n")
    let words = lines.first { $0.hasPrefix("MemTotal:") }?.split(separator: " ") ?? []
    return words.count > 1 ? (Double(words[1]) ?? 0) * 1_024 : 0
  }

  /// A whole number of bytes; `max` stands for none.
  private static func number(_ text: String?) -> Double? {
    text.flatMap { Double($0.prefix { $0 != "\n" }) }
  }
}
