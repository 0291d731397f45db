import Edge

#if FUZZER
import FuzzSupport
#endif

/// Whether a line of an answer or a log could be made longer than one by it.
private func breaks(_ text: String) -> Bool {
  text.utf8.contains { $0 < 0x20 && $0 != 9 || $0 == 0x7F }
}

#if FUZZER
@_cdecl("LLVMFuzzerTestOneInput")
#endif
public func fuzzAdmin(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let input = Array(UnsafeBufferPointer(start: bytes, count: count))
  let outcome = AdminRequestParser.parse(input)
  var end = 0
  if case .request(let request, _, let length) = outcome {
    end = length
    require(length > 0 && length <= count, "a request lies in the input")
    require(request.path.hasPrefix("/"), "a path is absolute")
    require(!request.path.contains("?"), "the query is no part of it")
    require(request.body.count <= AdminRequestParser.maximumBody, "a body has a bound")
    require(request.body == Array(input[(length - request.body.count)..<length]), "it comes last")
    let head = length - request.body.count
    require(head <= AdminRequestParser.maximumHead, "a head has a bound")
    require(!breaks(request.method + request.path + request.query), "no line is broken")
    for (name, value) in request.fields {
      require(!name.isEmpty && name == name.lowercased(), "names are in lower case")
      require(!breaks(name + value), "no field is two")
    }
    require(request.fields["transfer-encoding"] == nil, "a body has one framing")
  }
  for cut in stride(from: count - 1, through: 0, by: count > 256 ? -17 : -1) {
    switch (outcome, AdminRequestParser.parse(Array(input[..<cut]))) {
    case (_, .incomplete):
      require(!isRequest(outcome) || cut < end, "a whole request waits for nothing")
    case (.request, .request(_, _, let length)):
      require(length == end && cut >= end, "complete at one length only")
    case (.refused(let status), .refused(let early)):
      require(status == early, "a refusal never changes")
    default: require(false, "what is refused or complete stays so")
    }
  }
  return 0
}

private func isRequest(_ outcome: AdminRequestParser.Outcome) -> Bool {
  if case .request = outcome { return true }
  return false
}
