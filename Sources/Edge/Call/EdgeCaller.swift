internal import CLinux
internal import Glibc
internal import Units

/// Hands calls of the slow plane to workers, which serve them as requests.
///
/// Each call is a pair of sockets. A worker adopts one end as a connection that is marked as
/// internal, and with the service's place: no byte on it says where it leads, so nothing that comes
/// from outside can lead there.
final class EdgeCaller: ServiceCaller {
  static let unknown = "the configuration has no such service"

  private struct State {
    var directory = CallDirectory()
    var nextWorker = 0
  }

  private let mailboxes: [WorkerMailbox]
  private let shared: SharedState
  private let most: Int
  private let state = Locked(State())
  private let watch: CallWatch
  private let ready = ReadyDescriptor()

  /// `most`: Calls under way.
  init(_ mailboxes: [WorkerMailbox], _ shared: SharedState, most: Int, _ times: CallTimes) {
    watch = CallWatch(times)
    self.mailboxes = mailboxes
    self.shared = shared
    self.most = most
  }

  /// Another configuration is with the workers.
  func adopt(_ directory: CallDirectory) { state.withLock { $0.directory = directory } }

  /// Ends calls whose workers stand still.
  func expire(at now: Instant) { watch.expire(at: now) }

  func begin(_ request: ServiceRequest) -> any ServiceCall {
    do throws(CallFault) {
      return try open(request)
    } catch {
      let name = Self.plain(request.service)
      return EdgeCall(failed: "service \(name): \(error.words)", ready: ready)
    }
  }

  private func open(_ request: ServiceRequest) throws(CallFault) -> EdgeCall {
    let (found, worker) = state.withLock { state in
      state.nextWorker = (state.nextWorker + 1) % mailboxes.count
      return (state.directory[request.service], state.nextWorker)
    }
    guard let found else { throw CallFault(Self.unknown) }
    let (bytes, method) = try CallHead.bytes(request, authority: found.authority)
    guard shared.reserveClient(SharedState.callPlace, most) else {
      throw CallFault("\(most) calls of the edge itself are under way, and no more may be")
    }
    var ends: [Int32] = [-1, -1]
    let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
    guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else {
      shared.returnClient(SharedState.callPlace)
      throw CallFault("no descriptor is left")
    }
    let ticket = CallTicket()
    let call = WorkerCall(
      descriptor: ends[1],
      service: found.place,
      isEndless: request.isStream,
      ticket: ticket
    )
    guard mailboxes[worker].hand(call) else {
      for end in ends { close(end) }
      shared.returnClient(SharedState.callPlace)
      throw CallFault("no worker runs: the edge has not begun to serve, or has stopped")
    }
    let name = watch.add(ends[0], ticket, isStream: request.isStream, at: EdgeServer.now)
    let line = EdgeCall.Line(
      socket: ends[0],
      watch: watch,
      name: name,
      ticket: ticket,
      unsent: bytes[...],
      reader: CallReader(
        method: method,
        isStream: request.isStream,
        maximumBytes: request.maximumBytes
      )
    )
    let service = request.service
    return EdgeCall(request, line) { [self] in
      state.withLock { $0.directory[service] } == nil
        ? Self.unknown : "the edge has ended the call, as it does when it stops"
    }
  }

  /// A name of unknown origin in one line.
  private static func plain(_ name: String) -> String {
    let isPlain = name.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\"") }
    return isPlain && !name.isEmpty && name.utf8.count <= 128
      ? name : String(name.prefix(128)).debugDescription
  }
}
