internal import CLinux
internal import Glibc
public import Units

/// Notices that a file has new content, however it was replaced.
///
/// Folders are watched, not files: editors and deployment tools rename a new file over the old
/// one, and Kubernetes swaps a link named `..data` that the file's own link runs through. What
/// counts in the end is whether the file that the path leads to is another one than before.
///
/// Used by one thread: poll `descriptor`, then call `takeChange`.
public struct FileWatch: ~Copyable {
  /// Quiet time after the last event, for editors that write in several steps.
  public static let quiet = Nanoseconds.milliseconds(75)
  /// A folder that never rests delays a reload no longer than this.
  public static let patience = Nanoseconds.milliseconds(500)
  /// Looks without any event, for network file systems and folders that came back.
  public static let recheck = Nanoseconds.seconds(5)

  private struct Fingerprint: Equatable {
    var device: UInt
    var inode: UInt
    var size: Int
    var seconds: Int
    var nanoseconds: Int
  }

  private static let events =
    UInt32(IN_CLOSE_WRITE) | UInt32(IN_MOVED_TO) | UInt32(IN_CREATE) | UInt32(IN_DELETE)
    | UInt32(IN_MOVED_FROM) | UInt32(IN_ONLYDIR)
  /// Links followed from the path to the file, as many as a sane layout has.
  private static let maximumLinks = 8

  /// Readable when something happened; below 0 when the kernel gave none, then only rechecks work.
  public let descriptor: Int32
  private let paths: [String]
  private var seen: [Fingerprint?]
  private var firstEvent: Instant?
  private var lastEvent = Instant(0)
  private var lastLook: Instant

  public init(paths: [String], at now: Instant) {
    descriptor = inotify_init1(Int32(IN_NONBLOCK) | Int32(IN_CLOEXEC))
    self.paths = paths
    lastLook = now
    seen = paths.map(Self.fingerprint)
    watchFolders()
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// When `takeChange` should be called next at the latest.
  public var deadline: Instant {
    guard let firstEvent else { return lastLook + Self.recheck }
    return min(lastEvent + Self.quiet, firstEvent + Self.patience)
  }

  /// Whether a file changed and things have been quiet since.
  public mutating func takeChange(at now: Instant) -> Bool {
    guard isDue(at: now) else { return false }
    let current = paths.map(Self.fingerprint)
    guard current != seen else { return false }
    // A file that is gone for a moment, between two steps of a tool, is not news.
    guard !current.contains(nil) else { return false }
    seen = current
    return true
  }

  /// Which files are others than before, or gone, as indices of `paths`; `nil` while it is not time
  /// to look.
  public mutating func takeChanges(at now: Instant) -> [Int]? {
    guard isDue(at: now) else { return nil }
    let current = paths.map(Self.fingerprint)
    defer { seen = current }
    return paths.indices.filter { current[$0] != seen[$0] }
  }

  /// Whether it is time to look; a look counts as taken.
  private mutating func isDue(at now: Instant) -> Bool {
    if hasEvents() {
      if firstEvent == nil { firstEvent = now }
      lastEvent = now
    }
    guard now >= deadline else { return false }
    firstEvent = nil
    lastLook = now
    watchFolders()
    return true
  }

  private func hasEvents() -> Bool {
    guard descriptor >= 0 else { return false }
    var any = false
    var bytes = [UInt8](repeating: 0, count: 4_096)
    while read(descriptor, &bytes, bytes.count) > 0 { any = true }
    return any
  }

  /// Watches the folder of the path and of each link it leads through; adding twice is harmless.
  private func watchFolders() {
    guard descriptor >= 0 else { return }
    for path in paths {
      var path = path
      for _ in 0..<Self.maximumLinks {
        let folder = Self.folder(of: path)
        _ = inotify_add_watch(descriptor, folder, Self.events)
        guard let target = FileText.link(at: path) else { break }
        path = target.hasPrefix("/") ? target : "\(folder)/\(target)"
      }
    }
  }

  private static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  private static func fingerprint(_ path: String) -> Fingerprint? {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    return Fingerprint(
      device: UInt(status.st_dev),
      inode: UInt(status.st_ino),
      size: Int(status.st_size),
      seconds: status.st_mtim.tv_sec,
      nanoseconds: status.st_mtim.tv_nsec
    )
  }
}
