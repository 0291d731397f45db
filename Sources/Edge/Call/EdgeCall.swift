internal import CLinux
internal import Glibc
internal import HTTPCodec
internal import Units

/// One call: its end of a pair of sockets, of which a worker has the other.
///
/// ```
/// under way ─┬─▶ ended     the answer, or why there is none
///            └─▶ given up  by cancel, or with the object
/// ```
final class EdgeCall: ServiceCall {
  /// What a call has once it has begun.
  struct Line {
    var socket: Int32
    let watch: CallWatch
    let name: UInt64
    let ticket: CallTicket
    var unsent: ArraySlice<UInt8>
    var reader: CallReader
  }

  private let service: String
  private let isStream: Bool
  /// Why the socket ended where nobody said so.
  private let unexplained: () -> String
  private var line: Line?
  /// Of one that never began: the event that is yet to be taken, and what it is polled by.
  private var failure: String?
  private let ready: ReadyDescriptor?

  /// A call that never began.
  init(failed words: String, ready: ReadyDescriptor) {
    service = ""
    isStream = false
    unexplained = { "" }
    failure = words
    self.ready = ready
  }

  init(_ request: ServiceRequest, _ line: Line, unexplained: @escaping () -> String) {
    service = request.service
    isStream = request.isStream
    self.unexplained = unexplained
    self.line = line
    ready = nil
  }

  deinit { cancel() }

  var descriptor: Int32 {
    if failure != nil, let ready { return ready.number }
    return line?.socket ?? -1
  }

  var events: Int16 {
    Int16(POLLIN) | (line?.unsent.isEmpty == false ? Int16(POLLOUT) : 0)
  }

  func cancel() {
    failure = nil
    guard let line else { return }
    // Before it is closed: its number may be another one's at once.
    line.watch.remove(line.name)
    close(line.socket)
    self.line = nil
  }

  func advance() -> [ServiceEvent] {
    if let failure {
      self.failure = nil
      return [.failed(failure)]
    }
    guard line != nil else { return [] }
    send()
    var events: [ServiceEvent] = []
    do throws(CallFault) {
      try receive(&events)
      if line?.reader.hasEnded == true { cancel() }
    } catch {
      cancel()
      events.append(.failed("service \(service): \(error.words)"))
    }
    return events
  }

  private func send() {
    while let left = line?.unsent, !left.isEmpty {
      let sent = left.withUnsafeBytes { clinux_send(line?.socket ?? -1, $0.baseAddress, $0.count) }
      switch sent {
      // What was sent whole is not held any longer: a watch may last for days.
      case 1...: line?.unsent = Int(sent) < left.count ? left.dropFirst(Int(sent)) : []
      case -Int64(EINTR): continue
      case -Int64(EAGAIN), 0: return
      // Nobody takes it any more; why, is to be read.
      default: line?.unsent = []
      }
    }
  }

  private func receive(_ events: inout [ServiceEvent]) throws(CallFault) {
    var left = CallBounds.readOnce
    while left > 0, let line, !line.reader.hasEnded {
      let part = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.piece) {
        buffer -> Result<[ServiceEvent]?, CallFault> in
        let count = clinux_recv(line.socket, buffer.baseAddress, buffer.count)
        switch count {
        case 1...:
          left -= Int(count)
          return take(UnsafeBufferPointer(rebasing: UnsafeBufferPointer(buffer)[..<Int(count)]))
        case -Int64(EAGAIN): return .success(nil)
        case -Int64(EINTR): return .success([])
        default: return .failure(ending(hasHead: line.reader.hasHead))
        }
      }
      switch part {
      case .success(nil): return
      case .success(let some?): events += some
      case .failure(let fault): throw fault
      }
    }
  }

  /// Bytes of one read.
  private static let piece = 65_536

  private func take(
    _ bytes: UnsafeBufferPointer<UInt8>
  ) -> Result<[ServiceEvent]?, CallFault> {
    let hadHead = line?.reader.hasHead ?? false
    do throws(CallFault) {
      let events = try line?.reader.take(bytes) ?? []
      // A head that comes behind an ending is the edge's own answer, told in other words.
      if !hadHead, line?.reader.hasHead == true, line?.ticket.ending != nil {
        throw ending(hasHead: false)
      }
      if isStream, let line {
        line.watch.move(line.name, at: EdgeServer.now)
      }
      return .success(events)
    } catch {
      return .failure(error)
    }
  }

  /// Why there is no more.
  ///
  /// `hasHead`: Whether the head of the service's own answer has come.
  private func ending(hasHead: Bool) -> CallFault {
    let part = hasHead ? "its answer broke off: " : ""
    switch line?.ticket.ending {
    case .untaken:
      return CallFault("no worker took the call in time: those that there are stand still")
    case .overdue: return CallFault(part + "the worker that has the call stands still")
    case .reply(.noRoute): return CallFault(part + EdgeCaller.unknown)
    case .reply(let reason):
      return CallFault(part + "\(reason.wording.detail) (\(reason.wording.token))")
    case nil: return CallFault(part + unexplained())
    }
  }
}
