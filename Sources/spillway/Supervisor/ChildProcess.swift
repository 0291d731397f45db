internal import CLinux
internal import Edge
internal import Glibc
internal import Units

/// A serving process as its parent knows it.
struct ChildProcess {
  enum Phase {
    /// Started, not yet accepting.
    case starting
    case ready(since: Instant)
    /// Told to finish what it has.
    case draining
  }

  let id: Int32
  let channel: PacketChannel
  var phase = Phase.starting
  /// When it is killed if it has not got on by itself.
  var deadline = Instant.never
  /// How long its drain may take, as it said.
  var drain = Nanoseconds.zero
  /// What it said about why it cannot start.
  var reason: String?
  /// Socket news from before it was ready; it counts only once the child serves.
  var news: [(report: ChildReport, descriptor: Int32?)] = []
  var lastAlive: Instant
  /// It closed its end; there is nothing more to poll for.
  var isSilent = false

  var isReady: Bool { if case .ready = phase { true } else { false } }

  /// Starts the program.
  ///
  /// - Parameters:
  ///   - path: The program's file.
  ///   - arguments: With the program's own name first.
  ///   - environment: Complete; the channel's variable is added here.
  ///   - descriptors: Kept open in the child under the same numbers.
  /// - Returns: The child, or the error number.
  static func start(
    path: String,
    arguments: [String],
    environment: (_ channel: Int32) -> [String],
    descriptors: [Int32]
  ) -> Result<ChildProcess, StartError> {
    guard let (ours, theirs) = PacketChannel.pair() else {
      return .failure(StartError(code: errno))
    }
    defer { close(theirs.descriptor) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for descriptor in descriptors + [theirs.descriptor] {
      // Onto itself, which clears close-on-exec in the child alone.
      posix_spawn_file_actions_adddup2(&actions, descriptor, descriptor)
    }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    // A group of its own: Ctrl-C reaches the parent alone, which passes it on once.
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
      &attributes,
      Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETPGROUP)
    )
    var id: pid_t = 0
    let code = withCStrings(arguments) { arguments in
      withCStrings(environment(theirs.descriptor)) { environment in
        posix_spawn(&id, path, &actions, &attributes, arguments, environment)
      }
    }
    guard code == 0 else {
      close(ours.descriptor)
      return .failure(StartError(code: code))
    }
    return .success(ChildProcess(id: id, channel: ours, lastAlive: Poller.now))
  }

  struct StartError: Error {
    var code: Int32
  }

  private static func withCStrings<R>(
    _ strings: [String],
    _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> R
  ) -> R {
    var pointers = strings.map { strdup($0) }
    pointers.append(nil)
    defer { for pointer in pointers { free(pointer) } }
    return pointers.withUnsafeBufferPointer { buffer in
      guard let start = buffer.baseAddress else { preconditionFailure("never empty") }
      return body(start)
    }
  }
}
