internal import CLinux
internal import Glibc

/// Where a process finds what another one had learned.
enum LearnedSource: String, CaseIterable {
  /// A descriptor that the process before left with the parent: it is seconds old.
  case handedOver = "handed-over"
  /// The copy in the state directory.
  case file

  /// The copy's name in the state directory.
  static let fileName = "learned"

  /// What was found, and what of it is of no use.
  struct Found {
    var state: LearnedState?
    var source = LearnedSource.file
    var faults: [(source: LearnedSource, fault: LearnedFault)] = []
  }

  /// Looks in both places and takes what was saved last.
  ///
  /// - Parameters:
  ///   - directory: The state directory, where there is one.
  ///   - handed: A descriptor of what was handed over; it stays open.
  ///   - now: Seconds since 1970.
  /// - Returns: What was saved last, and what was wrong with either.
  static func find(directory: String?, handed: Int32?, now: Int64) -> Found {
    var found = Found()
    if let handed { found.take(.handedOver, read(handed), now: now) }
    if let directory {
      // Without waiting, should it be no file at all.
      let path = "\(directory)/\(fileName)"
      let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
      if descriptor >= 0 {
        found.take(.file, read(descriptor), now: now)
        close(descriptor)
      } else if errno != ENOENT {
        found.faults.append((.file, .unreadable(errno)))
      }
    }
    return found
  }

  private static func read(_ descriptor: Int32) -> Result<[UInt8], LearnedFault> {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return .failure(.unreadable(errno)) }
    guard status.st_mode & S_IFMT == S_IFREG else { return .failure(.unreadable(EINVAL)) }
    guard status.st_size <= LearnedState.maximumBytes else { return .failure(.tooLarge) }
    var bytes = [UInt8](repeating: 0, count: Int(max(0, status.st_size)))
    var count = 0
    while count < bytes.count {
      let part = bytes.withUnsafeMutableBytes { room in
        // From its beginning, wherever another process has read to.
        pread(descriptor, room.baseAddress.map { $0 + count }, room.count - count, off_t(count))
      }
      if part < 0, errno == EINTR { continue }
      guard part >= 0 else { return .failure(.unreadable(errno)) }
      guard part > 0 else { return .failure(.damaged) }
      count += part
    }
    return .success(bytes)
  }
}

extension LearnedSource.Found {
  fileprivate mutating func take(
    _ source: LearnedSource,
    _ bytes: Result<[UInt8], LearnedFault>,
    now: Int64
  ) {
    do throws(LearnedFault) {
      var next = try LearnedState(bytes.get())
      let count = next.services.count
      next.services.removeAll { !LearnedState.isFresh($0.learnedAt, now: now) }
      var isOld = next.services.count < count
      // Of endpoints it counts when they served, not since when: they are saved anew while they do.
      if !next.lists.isEmpty || !next.names.isEmpty,
        !LearnedState.isFresh(next.savedAt, now: now)
      {
        (next.lists, next.names) = ([], [])
        isOld = true
      }
      if isOld { faults.append((source, .tooOld)) }
      guard !next.isEmpty, next.savedAt > state?.savedAt ?? -1 else { return }
      state = next
      self.source = source
    } catch {
      faults.append((source, error))
    }
  }
}
