extension PathNormaliser {
  /// The same for a `String`, where speed does not matter.
  ///
  /// - Throws: Why the path is refused.
  public static func normalised(
    _ path: String,
    policy: PathPolicy = PathPolicy()
  ) throws(PathFault) -> String {
    let input = Array(path.utf8) + [0]
    var out = [UInt8](repeating: 0, count: input.count)
    let outcome = input.withUnsafeBufferPointer { input in
      out.withUnsafeMutableBufferPointer { out in
        guard let source = input.baseAddress, let target = out.baseAddress else {
          return PathOutcome.refused(.tooLong)
        }
        return normalise(
          source,
          count: input.count - 1,
          into: target,
          capacity: out.count,
          policy: policy
        )
      }
    }
    switch outcome {
    case .unchanged: return path
    case .rewritten(let count): return String(decoding: out[..<count], as: UTF8.self)
    case .refused(let fault): throw fault
    }
  }
}
