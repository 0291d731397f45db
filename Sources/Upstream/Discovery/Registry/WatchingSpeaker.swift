internal import Units

/// Reads a list, and then changes of it: messages of a line each, for as long as the stream lasts.
protocol WatchingSpeaker: RegistrySpeaker {
  /// Whether the present request hears changes.
  var isWatching: Bool { get }
  /// What came of an answer that is no stream.
  var answer: [UInt8] { get set }
  var lines: LineBuffer { get set }
  /// What is known.
  var list: RegistryList { get }
  /// Takes an answer that is a list or a page of it.
  mutating func take(page: JSONValue) -> RegistryTurn
  /// Takes a message of the stream; anything but `on` ends it.
  mutating func hear(_ message: JSONValue, _ hasChanged: inout Bool) -> RegistryTurn
}

extension WatchingSpeaker {
  var hearsChanges: Bool { true }

  func head(_ fields: [ServiceField]) -> RegistryTurn { .on }

  mutating func body(_ bytes: [UInt8]) -> RegistryTurn {
    guard isWatching else {
      answer += bytes
      return .on
    }
    guard let lines = lines.take(bytes) else { return .failed(.invalid, "says too much at once") }
    var hasChanged = false
    for line in lines {
      let turn: RegistryTurn
      do throws(JSONFault) {
        turn = hear(try JSONValue.read(line), &hasChanged)
      } catch {
        turn = .failed(.invalid, "a message of the watch \(error.words)")
      }
      guard turn == .on else { return turn }
    }
    return hasChanged ? .list(list) : .on
  }

  mutating func end() -> RegistryTurn {
    guard !isWatching else { return .ended }
    defer { answer = [] }
    switch Self.page(answer) {
    case .success(let page): return take(page: page)
    case .failure(let fault): return .failed(.invalid, "the answer \(fault.words)")
    }
  }
}

extension RegistrySpeaker {
  /// Reads a whole answer.
  static func page(_ answer: [UInt8]) -> Result<JSONValue, JSONFault> {
    Result { () throws(JSONFault) in try JSONValue(answer) }
  }
}
