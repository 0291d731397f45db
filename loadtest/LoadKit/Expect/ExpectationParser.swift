internal import Configuration
internal import Units

/// Reads the grammar of `Expectation`, word by word.
struct ExpectationParser {
  private let characters: [Character]
  private var position = 0

  init(_ text: String) { characters = Array(text) }

  typealias Fault = Expectation.Fault

  mutating func measure(
    classes: [String]
  ) throws(Fault) -> (priority: Int?, measure: Expectation.Measure) {
    let start = skipBlanks()
    let word = takeWord()
    guard !word.isEmpty else {
      throw Fault(offset: start, message: "needs a measure, such as goodput or critical.p99")
    }
    guard let dot = word.firstIndex(of: "."), !isPercentile(word) else {
      return (nil, try measure(word, at: start))
    }
    let name = String(word[..<dot])
    if name == "backend" { return (nil, .backend(String(word[word.index(after: dot)...]))) }
    let offset = start + word.distance(from: word.startIndex, to: dot) + 1
    let measure = try measure(String(word[word.index(after: dot)...]), at: offset)
    if name == "all" { return (nil, measure) }
    guard let place = classes.firstIndex(of: name) else {
      let near = Spelling.nearest(name, in: classes).map { "; did you mean \($0)?" } ?? ""
      throw Fault(offset: start, message: "there is no class \"\(name)\"\(near)")
    }
    return (place, measure)
  }

  private func isPercentile(_ word: String) -> Bool {
    // A class may be called p1, as in p1.success.
    word.first == "p" && word.count > 1
      && word.dropFirst().allSatisfy { "0123456789.".contains($0) }
  }

  private func measure(_ word: String, at offset: Int) throws(Fault) -> Expectation.Measure {
    if let share = Expectation.Share(rawValue: word) { return .share(share) }
    if let rate = Expectation.Rate(rawValue: word) { return .rate(rate) }
    if word == "mean" { return .mean }
    if word == "maximum" { return .percentile(100) }
    if isPercentile(word) {
      guard let value = ScenarioReader.decimal(word.dropFirst()), value <= 100 else {
        throw Fault(offset: offset, message: "\(word) is no percentile; write p50, p99 or p99.9")
      }
      return .percentile(value)
    }
    let known =
      Expectation.Share.allCases.map(\.rawValue) + Expectation.Rate.allCases.map(\.rawValue)
      + ["mean", "maximum", "p50", "p99"]
    let near = Spelling.nearest(word, in: known).map { "; did you mean \($0)?" } ?? ""
    throw Fault(offset: offset, message: "there is no measure \"\(word)\"\(near)")
  }

  mutating func phase(_ phases: [String]) throws(Fault) -> Int? {
    let start = skipBlanks()
    guard takeWord() == "in" else {
      position = start
      return nil
    }
    let offset = skipBlanks()
    let name = takeWord()
    if let place = phases.firstIndex(of: name) { return place }
    let near = Spelling.nearest(name, in: phases).map { "; did you mean \($0)?" } ?? ""
    throw Fault(offset: offset, message: "there is no phase \"\(name)\"\(near)")
  }

  mutating func comparison() throws(Fault) -> Expectation.Comparison {
    let start = skipBlanks()
    for comparison in Expectation.Comparison.allCases where take(comparison.rawValue) {
      return comparison
    }
    throw Fault(offset: start, message: "needs a comparison here: >=, <=, >, < or ==")
  }

  mutating func bound(
    for measure: Expectation.Measure,
    hasUnloaded: Bool
  ) throws(Fault) -> Expectation.Bound {
    let start = skipBlanks()
    let number = takeNumber()
    guard let value = ScenarioReader.decimal(number[...]) else {
      throw Fault(offset: start, message: "needs a number here")
    }
    let offset = skipBlanks()
    let unit = takeRest()
    switch measure {
    case .share:
      if unit == "%", value <= 100 { return .percent(value) }
      if unit.isEmpty { return .count(value) }
      throw Fault(
        offset: unit == "%" ? start : offset,
        message: "a share needs a percentage up to 100 %, or a number of requests"
      )
    case .backend:
      if unit == "% of capacity" { return .percentOfCapacity(value) }
      if unit == "% of offered" { return .percentOfOffered(value) }
      if unit.isEmpty { return .count(value) }
      throw Fault(
        offset: offset,
        message: "a counter needs a number, % of offered, or % of capacity, which is of one second"
      )
    case .rate:
      if unit == "/s" { return .perSecond(value) }
      if unit == "% of capacity" { return .percentOfCapacity(value) }
      throw Fault(offset: offset, message: "a rate needs /s or % of capacity")
    case .percentile, .mean:
      if unit == "x unloaded" {
        guard hasUnloaded else {
          throw Fault(
            offset: offset,
            message: "the scenario has no calm stretch; add unloaded: {load: 0.05x, for: 5s}"
          )
        }
        return .timesUnloaded(value)
      }
      if let span = Quantity.duration(number + unit, bareMilliseconds: false) {
        return .duration(span)
      }
      throw Fault(offset: offset, message: "a latency needs ms, s or x unloaded")
    }
  }

  // MARK: - Words

  private mutating func skipBlanks() -> Int {
    while position < characters.count, characters[position] == " " { position += 1 }
    return position
  }

  private mutating func takeWord() -> String {
    let start = position
    while position < characters.count, !" <>=".contains(characters[position]) { position += 1 }
    return String(characters[start..<position])
  }

  private mutating func take(_ text: String) -> Bool {
    let wanted = Array(text)
    guard characters[position...].starts(with: wanted) else { return false }
    position += wanted.count
    return true
  }

  private mutating func takeNumber() -> String {
    let start = position
    while position < characters.count, "0123456789.".contains(characters[position]) {
      position += 1
    }
    return String(characters[start..<position])
  }

  /// What is left, with single blanks.
  private mutating func takeRest() -> String {
    defer { position = characters.count }
    return characters[position...].split(separator: " ").map { String($0) }
      .joined(separator: " ")
  }
}
