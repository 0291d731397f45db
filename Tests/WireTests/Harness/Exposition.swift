/// A scrape of `/metrics`, read strictly.
struct Exposition {
  struct Sample {
    let name: String
    let labels: [String: String]
    let value: Double
  }

  let samples: [Sample]

  init(_ text: String) throws {
    samples = try text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
      guard let space = line.lastIndex(of: " "),
        let value = Double(line[line.index(after: space)...])
      else { throw WireFailure("no sample: \(line)") }
      let (name, labels) = try Self.series(String(line[..<space]))
      return Sample(name: name, labels: labels, value: value)
    }
  }

  /// The names of all series, each once.
  var names: Set<String> { Set(samples.map(\.name)) }

  /// The sum of every series of `selector`'s name that has at least its labels.
  ///
  /// A selector is a name, or a name with labels: `spillway_requests_total{code="200"}`. Nil says
  /// that no series matches.
  func sum(_ selector: String) throws -> Double? {
    let (name, labels) = try Self.series(selector)
    let found = samples.filter { sample in
      sample.name == name && labels.allSatisfy { sample.labels[$0.key] == $0.value }
    }
    return found.isEmpty ? nil : found.reduce(0) { $0 + $1.value }
  }

  private static func series(_ text: String) throws -> (String, [String: String]) {
    guard let brace = text.firstIndex(of: "{") else { return (text, [:]) }
    guard text.last == "}" else { throw WireFailure("no series: \(text)") }
    var labels: [String: String] = [:]
    var rest = text[text.index(after: brace)...].dropLast()
    while !rest.isEmpty {
      guard let equals = rest.firstIndex(of: "=") else { throw WireFailure("no label: \(text)") }
      let name = String(rest[..<equals])
      rest = rest[rest.index(after: equals)...]
      guard rest.first == "\"" else { throw WireFailure("an unquoted label: \(text)") }
      rest = rest.dropFirst()
      var value = ""
      while let character = rest.first, character != "\"" {
        rest = rest.dropFirst()
        if character == "\\", let escaped = rest.first {
          value.append(escaped == "n" ? "\n" : escaped)
          rest = rest.dropFirst()
        } else {
          value.append(character)
        }
      }
      labels[name] = value
      rest = rest.dropFirst()
      if rest.first == "," { rest = rest.dropFirst() }
    }
    return (String(text[..<brace]), labels)
  }
}
