import Synchronization

/// What a worker tells the thread of a call beside the bytes of the answer.
///
/// A service could write bytes that look like an answer of the edge itself; it cannot write here.
final class CallTicket: Sendable {
  /// Why the edge ended a call.
  enum Ending: Equatable {
    /// As a client would have been answered, or cut off.
    case reply(ReplyReason)
    /// No worker took it in time.
    case untaken
    /// A worker took it and has stood still since.
    case overdue
  }

  private static let untakenCode: UInt8 = 254
  private static let overdueCode: UInt8 = 255

  private let taken = Atomic(false)
  /// 0 while there is no ending; the first one stays.
  private let code = Atomic<UInt8>(0)

  /// A worker has it.
  func take() { taken.store(true, ordering: .sequentiallyConsistent) }

  var isTaken: Bool { taken.load(ordering: .sequentiallyConsistent) }

  /// Notes why it ended, unless that is known already.
  func end(_ ending: Ending) {
    let value =
      switch ending {
      case .reply(let reason): reason.rawValue + 1
      case .untaken: Self.untakenCode
      case .overdue: Self.overdueCode
      }
    _ = code.compareExchange(expected: 0, desired: value, ordering: .sequentiallyConsistent)
  }

  /// Why the edge ended it, `nil` while it has not.
  var ending: Ending? {
    switch code.load(ordering: .sequentiallyConsistent) {
    case 0: nil
    case Self.untakenCode: .untaken
    case Self.overdueCode: .overdue
    case let value: ReplyReason(rawValue: value - 1).map { .reply($0) }
    }
  }
}

/// A call on its way to a worker: one end of a pair of sockets, and where it leads.
struct WorkerCall: Sendable {
  var descriptor: Int32
  /// The service's place in the process.
  var service: Int32
  /// Its answer is read for as long as it lasts.
  var isEndless: Bool
  var ticket: CallTicket
}
