public import Units
internal import Yams

/// Reads one node of a document and notes every fault, so that all are reported at once.
///
/// Each accessor gives a value to go on with, whatever it finds.
final class Reader {
  private(set) var faults: [Fault] = []

  func fault(_ field: Field, _ message: String) {
    let mark = field.node.mark
    faults.append(
      Fault(line: mark?.line ?? 1, column: mark?.column ?? 1, path: field.path, message: message)
    )
  }

  func add(_ more: [Fault]) { faults += more }
}

/// A node and how one gets there.
public struct Field {
  var node: Node
  var path: String
  let reader: Reader

  public func fault(_ message: String) { reader.fault(self, message) }

  private func at(_ key: String, _ node: Node) -> Field {
    Field(node: node, path: path.isEmpty ? key : "\(path).\(key)", reader: reader)
  }

  // MARK: - Maps and lists

  /// The node as a map with the fields it may have.
  ///
  /// - Parameters:
  ///   - known: Names that mean something.
  ///   - later: Names of features that this version does not have yet.
  /// - Returns: The fields that are there and known.
  public func map(_ known: [String], later: [String] = []) -> [String: Field] {
    guard case .mapping(let mapping) = node else {
      fault("must be a map; write its fields on lines of their own")
      return [:]
    }
    var fields: [String: Field] = [:]
    for (key, value) in mapping {
      guard let name = key.string else {
        Field(node: key, path: path, reader: reader).fault("a field's name must be text")
        continue
      }
      let field = at(name, value)
      if known.contains(name) {
        // The parser tells keys apart by their tags too, which mean nothing here.
        if fields[name] != nil {
          Field(node: key, path: field.path, reader: reader).fault("is given twice; keep one")
        }
        fields[name] = field
      } else {
        let place = Field(node: key, path: field.path, reader: reader)
        place.fault(unknown(name, known, later))
      }
    }
    return fields
  }

  private func unknown(_ name: String, _ known: [String], _ later: [String]) -> String {
    if later.contains(name) {
      return "is not available in this version; remove it"
    }
    let list = known.sorted().joined(separator: ", ")
    guard let near = Spelling.nearest(name, in: known) else {
      return "unknown field; this place knows \(list)"
    }
    return "unknown field; did you mean \(near)?"
  }

  public func list() -> [Field] {
    guard case .sequence(let sequence) = node else {
      fault("must be a list; write [a, b] or lines that begin with a dash")
      return []
    }
    return sequence.enumerated().map { index, node in
      Field(node: node, path: "\(path)[\(index)]", reader: reader)
    }
  }

  // MARK: - Scalars

  public func text() -> String {
    guard case .scalar(let scalar) = node else {
      fault("must be text")
      return ""
    }
    return scalar.string
  }

  public func number(_ range: ClosedRange<Int>) -> Int {
    guard let value = Int(text()) else {
      if case .scalar = node { fault("must be a whole number") }
      return range.lowerBound
    }
    guard range.contains(value) else {
      fault("is \(value); must be from \(range.lowerBound) to \(range.upperBound)")
      return range.lowerBound
    }
    return value
  }

  /// A share such as `0.2` or `20%`.
  public func share(_ range: ClosedRange<Double> = 0...1) -> Double {
    let written = text()
    let value =
      written.hasSuffix("%")
      ? Double(written.dropLast()).map { $0 / 100 } : Double(written)
    guard let value, (0...1).contains(value) else {
      if case .scalar = node { fault("must be a share from 0 to 1, or a percentage") }
      return range.upperBound
    }
    guard range.contains(value) else {
      fault("is \(value); must be from \(range.lowerBound) to \(range.upperBound)")
      return range.upperBound
    }
    return value
  }

  /// A duration such as `250ms`, `1.5s`, `2m` or `1h`.
  ///
  /// - Parameters:
  ///   - range: Shortest and longest.
  ///   - bareMilliseconds: A bare number counts milliseconds: the name says so.
  /// - Returns: The duration, or the shortest one beside a fault.
  public func duration(
    _ range: ClosedRange<Nanoseconds>,
    bareMilliseconds: Bool = false
  ) -> Nanoseconds {
    let written = text()
    guard case .scalar = node else { return range.lowerBound }
    guard let value = Quantity.duration(written, bareMilliseconds: bareMilliseconds) else {
      fault("is no duration; write 250ms, 1.5s, 2m or 1h")
      return range.lowerBound
    }
    guard range.contains(value) else {
      let low = Quantity.text(range.lowerBound)
      fault("is \(Quantity.text(value)); must be from \(low) to \(Quantity.text(range.upperBound))")
      return range.lowerBound
    }
    return value
  }

  /// A size such as `64KiB`, `500B`, `1MiB` or a number of bytes.
  public func size(_ range: ClosedRange<Int>) -> Int {
    let written = text()
    guard case .scalar = node else { return range.lowerBound }
    guard let value = Quantity.size(written) else {
      fault("is no size; write 500B, 64KiB, 1MiB or a number of bytes")
      return range.lowerBound
    }
    guard range.contains(value) else {
      fault("is \(value) bytes; must be from \(range.lowerBound) to \(range.upperBound)")
      return range.lowerBound
    }
    return value
  }

  public func choice<T: RawRepresentable & CaseIterable>(_: T.Type, later: [String] = []) -> T?
  where T.RawValue == String {
    let written = text()
    if let value = T(rawValue: written) { return value }
    guard case .scalar = node else { return nil }
    if later.contains(written) {
      fault("\(written) is not available in this version")
    } else {
      fault("is \(written); must be \(T.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return nil
  }

  /// A name in kebab-case, as metrics and logs carry it.
  public func name() -> String {
    let written = text()
    guard case .scalar = node else { return written }
    let isKebab =
      !written.isEmpty && written.utf8.count <= 128
      && written.utf8.allSatisfy {
        (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D
      }
      && !written.hasPrefix("-") && !written.hasSuffix("-")
    if !isKebab { fault("\"\(written)\" must be kebab-case: a-z, 0-9 and dashes") }
    return written
  }
}

/// What one would have wanted to write.
public enum Spelling {
  /// The known word within two edits, or a third of its length.
  public static func nearest(_ word: String, in known: [String]) -> String? {
    let ranked = known.map { ($0, distance(Array(word.lowercased()), Array($0.lowercased()))) }
    guard let best = ranked.min(by: { ($0.1, $0.0) < ($1.1, $1.0) }) else { return nil }
    return best.1 <= max(2, best.0.count / 3) ? best.0 : nil
  }

  /// Edit distance; names are short, so the table is too.
  private static func distance(_ a: [Character], _ b: [Character]) -> Int {
    guard a.count <= 64, b.count <= 64 else { return .max }
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
      var corner = row[0]
      row[0] = i + 1
      for (j, y) in b.enumerated() {
        let cost = min(row[j] + 1, row[j + 1] + 1, corner + (x == y ? 0 : 1))
        corner = row[j + 1]
        row[j + 1] = cost
      }
    }
    return row[b.count]
  }
}
