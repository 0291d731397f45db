/// Names of zones: whatever fails together, such as a data centre or a part of one.
public enum Zone {
  /// Names the edge's own zone where the configuration does not.
  public static let variable = "SPILLWAY_ZONE"

  /// Whether a text can be the name of one.
  public static func isName(_ text: String) -> Bool {
    let others = Set("-_./".utf8)
    return (1...64).contains(text.utf8.count)
      && text.utf8.allSatisfy {
        (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
          || others.contains($0)
      }
  }
}
