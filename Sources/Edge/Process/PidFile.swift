internal import CLinux
internal import Glibc

/// The file that says which process to signal, written by a parent that may have more rights than
/// the child that names the place.
///
/// The folder is opened once and everything happens inside of it, so that nobody can lead a privileged
/// parent elsewhere by exchanging a part of the path. Removing takes only what was written here.
public struct PidFile {
  /// The name that a child may ask for.
  public static let name = "spillway.pid"

  public struct Fault: Error, Equatable {
    /// The error number.
    public var code: Int32
  }

  public let path: String
  private let folder: Int32
  private let name: String
  private let device: dev_t
  private let inode: ino_t

  /// Writes the file.
  ///
  /// - Parameters:
  ///   - path: The whole of it.
  ///   - text: What the file holds.
  ///   - owner: The user who asks for it when that is another one than ours: the folder must be that
  ///     user's own and the file's name `PidFile.name`.
  /// - Returns: The file, which stays until `remove`.
  /// - Throws: The error number; EPERM for a place that the owner must not name.
  public static func write(
    _ path: String,
    _ text: String,
    owner: UInt32? = nil
  ) throws(Fault) -> PidFile {
    let cut = path.utf8.lastIndex(of: UInt8(ascii: "/"))
    let name = cut.map { String(path[path.utf8.index(after: $0)...]) } ?? path
    let parent = cut.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    guard !name.isEmpty else { throw Fault(code: EISDIR) }
    guard owner == nil || (name == Self.name && path.hasPrefix("/")) else {
      throw Fault(code: EPERM)
    }
    let folder = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folder >= 0 else { throw Fault(code: errno) }
    do throws(Fault) {
      var status = stat()
      guard fstat(folder, &status) == 0 else { throw Fault(code: errno) }
      if let owner, status.st_uid != owner { throw Fault(code: EPERM) }
      let (device, inode) = try put(text, in: folder, name)
      return PidFile(path: path, folder: folder, name: name, device: device, inode: inode)
    } catch {
      close(folder)
      throw error
    }
  }

  /// Writes beside the place and renames, so that a reader sees all or nothing and a link that lies
  /// there is replaced, not followed.
  private static func put(
    _ text: String,
    in folder: Int32,
    _ name: String
  ) throws(Fault) -> (dev_t, ino_t) {
    let temporary = "\(name).\(getpid()).new"
    // One that is left can only be of a process that had our number before.
    unlinkat(folder, temporary, 0)
    let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
    let descriptor = openat(folder, temporary, flags, 0o644)
    guard descriptor >= 0 else { throw Fault(code: errno) }
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    var status = stat()
    guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count,
      fstat(descriptor, &status) == 0,
      renameat(folder, temporary, folder, name) == 0
    else {
      let code = errno == 0 ? EIO : errno
      unlinkat(folder, temporary, 0)
      throw Fault(code: code)
    }
    return (status.st_dev, status.st_ino)
  }

  /// Removes the file if it is still the one that was written.
  public func remove() {
    defer { close(folder) }
    var status = stat()
    guard fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0,
      status.st_dev == device, status.st_ino == inode
    else { return }
    unlinkat(folder, name, 0)
  }

  /// The effective user of a process, or `nil` when it is gone.
  public static func user(of process: Int32) -> UInt32? {
    // Not the owner of the folder in /proc: that is root for a process that gave up privileges.
    guard let status = FileText.read("/proc/\(process)/status") else { return nil }
    let line = status.split(separator: "\n").first { $0.hasPrefix("Uid:") }
    let words = line?.split(whereSeparator: \.isWhitespace) ?? []
    return words.count > 2 ? UInt32(words[2]) : nil
  }
}
