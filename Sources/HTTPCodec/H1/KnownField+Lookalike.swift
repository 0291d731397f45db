extension KnownField {
  /// The field that a name with underscores would be taken for by a service that reads `_` as `-`.
  ///
  /// CGI, WSGI and Rack turn both into the same variable, so `Content_Length` or `X_Forwarded_For`
  /// would stand beside, or in place of, the field that was checked or rewritten.
  ///
  /// - Returns: `other` when the name has no underscore or resembles no field known here.
  public static func lookalike(_ name: UnsafePointer<UInt8>, count: Int) -> KnownField {
    guard count <= longest else { return .other }
    var hasUnderscore = false
    for index in 0..<count where name[index] == UInt8(ascii: "_") { hasUnderscore = true }
    guard hasUnderscore else { return .other }
    // Eight bytes of room behind the name, since names are compared by whole words.
    return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: longest + 8) { copy in
      guard let base = copy.baseAddress else { return .other }
      copy.initialize(repeating: 0)
      for index in 0..<count {
        base[index] = name[index] == UInt8(ascii: "_") ? UInt8(ascii: "-") : name[index]
      }
      return find(base, start: 0, length: count, end: longest + 8)
    }
  }

  private static let longest = 25
}
