/// Names and values of one series, in the order they are written.
public struct Labels: Hashable, Sendable, ExpressibleByDictionaryLiteral {
  var pairs: [Pair]

  struct Pair: Hashable, Sendable {
    var name: String
    var value: String
  }

  public init(dictionaryLiteral elements: (String, String)...) {
    pairs = elements.map { Pair(name: $0.0, value: $0.1) }
  }

  /// No labels.
  public static let none: Labels = [:]

  /// These labels and one more at the end.
  public func with(_ name: String, _ value: String) -> Labels {
    var labels = self
    labels.pairs.append(Pair(name: name, value: value))
    return labels
  }

  /// The same names, each with the value `other`: where series beyond a family's bound are counted.
  var overflow: Labels {
    var labels = self
    for index in labels.pairs.indices { labels.pairs[index].value = "other" }
    return labels
  }

  /// `a="b",c="d"`, escaped as both expositions want it.
  var rendered: String {
    pairs.map { "\($0.name)=\"\(Self.escape($0.value, quote: true))\"" }.joined(separator: ",")
  }

  static func escape(_ text: String, quote: Bool) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": escaped += "\\\\"
      case "\n": escaped += "\\n"
      case "\"" where quote: escaped += "\\\""
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}
