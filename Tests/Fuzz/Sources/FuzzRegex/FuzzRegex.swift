import Routing

#if FUZZER
import FuzzSupport
#endif

/// Whether a pattern takes a path, `nil` when it is refused.
private func takes(_ pattern: String, _ path: String) -> Bool? {
  let rule = RouteRule(name: "fuzz", path: .regex(pattern))
  guard let table = try? RouteTable(rules: [rule]) else { return nil }
  let probe = RouteProbe(path: path)
  if case .route = probe.withRequest({ table.find($0) }) { return true }
  return false
}

/// The input is a pattern, a line feed and a path.
#if FUZZER
@_cdecl("LLVMFuzzerTestOneInput")
#endif
public func fuzzRegex(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let input = UnsafeBufferPointer(start: bytes, count: count)
  let parts = input.split(separator: 0x0A, maxSplits: 1, omittingEmptySubsequences: false)
  let pattern = String(decoding: parts[0], as: UTF8.self)
  let path = "/" + (parts.count > 1 ? String(decoding: parts[1], as: UTF8.self) : "")
  let rule = RouteRule(name: "fuzz", path: .regex(pattern))
  let faults = RouteTable.faults(in: [rule])
  for fault in faults {
    require(fault.part == .pathRegex && !fault.message.isEmpty, "a fault names the pattern")
    let column = fault.column ?? 0
    require(column >= 1 && column <= pattern.utf8.count + 1, "a fault lies in the pattern")
  }
  let verdict = takes(pattern, path)
  require((verdict == nil) == !faults.isEmpty, "a table takes what has no fault")
  guard let verdict else { return 0 }
  // Spellings of the same language; anchors stand at the ends alone, where they say nothing.
  var core = Substring(pattern)
  if core.hasPrefix("^") { core = core.dropFirst() }
  if core.hasSuffix("$"), !core.dropLast().hasSuffix("\\") { core = core.dropLast() }
  for same in ["(?:\(core))", "(\(core))|(\(core))", "^(\(core))$", "(\(core)){1,2}"] {
    guard let other = takes(same, path) else { continue }
    require(other == verdict || same.hasSuffix("{1,2}") && other, "one language, one verdict")
  }
  return 0
}
