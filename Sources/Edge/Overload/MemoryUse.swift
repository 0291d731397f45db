internal import Glibc

/// How much of the memory that this process may use is in use, read from files; slow plane only.
///
/// The bound is that of its control groups (version 2), each of which counts, and the machine's. What
/// counts as used is what the kernel cannot take back: in a control group all but caches, which has
/// the buffers of sockets in it; of the machine what is resident, since what others use is not ours
/// to give back.
///
/// Which groups those are, and how much the machine has, is found out once. A look allocates nothing,
/// for it is taken every second and oftener.
public struct MemoryUse: Sendable {
  /// The files of one control group.
  private struct Group {
    var maximum: String
    var current: String
    var parts: String
  }

  private let groups: [Group]
  private let residentFile: String
  /// Bytes of the machine, 0 where that is not known.
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
    var path = Self.groupPath(process + "/cgroup")
    var found: [Group] = []
    while found.count < Self.mostLevels {
      let folder = groups + path
      found.append(
        Group(
          maximum: folder + "/memory.max",
          current: folder + "/memory.current",
          parts: folder + "/memory.stat"
        )
      )
      guard let slash = path.lastIndex(of: "/") else { break }
      path = String(path[..<slash])
    }
    self.groups = found
    residentFile = process + "/statm"
    machineBytes = SmallFile.read(machine) { $0.number(after: "MemTotal:") * 1_024 } ?? 0
  }

  /// The path of the process's group below the mount, without the last slash; empty for the root.
  ///
  /// One that lies outside of what is mounted here says `..`, and has only the root to look at.
  private static func groupPath(_ file: String) -> String {
    let lines = (FileText.read(file) ?? "").split(separator: "\n")
    guard let line = lines.first(where: { $0.hasPrefix("0::/") }), !line.contains("..") else {
      return ""
    }
    let path = line.dropFirst("0::".count)
    return path == "/" ? "" : String(path)
  }

  /// The share in use, in `0...1`; 0 where nothing can be read.
  public var share: Double {
    var most = machineShare
    for group in groups { most = max(most, Self.share(of: group)) }
    return most
  }

  private static func share(of group: Group) -> Double {
    // Without a bound there is `max`, which is no number.
    let limit = SmallFile.read(group.maximum) { $0.number(after: "") } ?? 0
    guard limit > 0, let current = SmallFile.read(group.current, { $0.number(after: "") }) else {
      return 0
    }
    // What the kernel gives back before it kills anybody.
    let caches =
      SmallFile.read(group.parts) {
        $0.number(after: "active_file ") + $0.number(after: "inactive_file ")
          + $0.number(after: "slab_reclaimable ")
      } ?? 0
    return min(1, max(0, current - caches) / limit)
  }

  private var machineShare: Double {
    guard machineBytes > 0 else { return 0 }
    let pages = SmallFile.read(residentFile) { $0.secondNumber } ?? 0
    return min(1, max(0, pages * Double(sysconf(Int32(_SC_PAGESIZE))) / machineBytes))
  }
}

/// The first bytes of a file of numbers, on the stack.
private struct SmallFile {
  /// More than the kernel's files have that are read here.
  private static let most = 8_192

  let bytes: UnsafeRawBufferPointer

  /// What `body` makes of the file, `nil` where it cannot be read or is empty.
  static func read(_ path: String, _ body: (SmallFile) -> Double) -> Double? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    return withUnsafeTemporaryAllocation(byteCount: most, alignment: 1) { room in
      var count = 0
      while count < most {
        let more = Glibc.read(descriptor, room.baseAddress.map { $0 + count }, most - count)
        if more < 0, errno == EINTR { continue }
        guard more > 0 else { break }
        count += more
      }
      guard count > 0 else { return nil }
      return body(SmallFile(bytes: UnsafeRawBufferPointer(rebasing: room[..<count])))
    }
  }

  /// The number behind this name at the start of a line and blanks, 0 where there is none.
  func number(after name: StaticString) -> Double {
    var start = 0
    while start < bytes.count {
      if begins(name, at: start) { return number(at: start + name.utf8CodeUnitCount) }
      while start < bytes.count, bytes[start] != UInt8(ascii: "\n") { start += 1 }
      start += 1
    }
    return 0
  }

  /// The second number of the file, 0 where there is none.
  var secondNumber: Double {
    var start = 0
    while start < bytes.count, bytes[start] != UInt8(ascii: " ") { start += 1 }
    return number(at: start)
  }

  private func begins(_ name: StaticString, at start: Int) -> Bool {
    guard start + name.utf8CodeUnitCount <= bytes.count else { return false }
    for index in 0..<name.utf8CodeUnitCount where bytes[start + index] != name.utf8Start[index] {
      return false
    }
    return true
  }

  private func number(at start: Int) -> Double {
    var place = start
    while place < bytes.count, bytes[place] == UInt8(ascii: " ") { place += 1 }
    var value = 0.0
    while place < bytes.count, (0x30...0x39).contains(bytes[place]) {
      value = value * 10 + Double(bytes[place] - 0x30)
      place += 1
    }
    return value
  }
}
