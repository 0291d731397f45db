import Upstream

#if FUZZER
import FuzzSupport
#endif

/// What a name server answered to a question for SRV records, and the endpoints that are made of it.
#if FUZZER
@_cdecl("LLVMFuzzerTestOneInput")
#endif
public func fuzzService(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let message = Array(UnsafeBufferPointer(start: bytes, count: count))
  guard let answer = ServiceAnswer(message) else {
    return 0
  }
  require(!answer.records.isEmpty, "an answer has a record")
  require(answer.ttl >= 0, "no time is below nothing")
  // A record takes 11 bytes without its names, of which each takes one at least.
  require(answer.records.count * 18 <= count, "no record is read that is not there")
  require(answer.records.count <= Int(message[6]) << 8 | Int(message[7]), "nor one uncounted")
  for record in answer.records { requireName(Array(record.target.utf8)) }
  require(ServiceAnswer(message + [0, 7]) == answer, "what comes behind the answers is not read")
  for port in [nil, 8_080] as [UInt16?] {
    let endpoints = ServiceRecord.endpoints(answer.records, port: port)
    require(endpoints.count <= answer.records.count, "no endpoint is invented")
    require(Set(endpoints.map(\.address)).count == endpoints.count, "each is there once")
    for endpoint in endpoints {
      require((1...1_000).contains(endpoint.weight), "a weight is one")
      require((0...7).contains(endpoint.priority), "a priority is one")
    }
    let reversed = ServiceRecord.endpoints(answer.records.reversed(), port: port)
    require(reversed == endpoints, "the order of records means nothing")
  }
  return 0
}

/// Checks that a name is one of a host or a service, in lower case, or none.
private func requireName(_ name: [UInt8]) {
  require(name.count <= 253, "a name is as long as names may be")
  let labels = name.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
  require(name.isEmpty || labels.allSatisfy { (1...63).contains($0.count) }, "labels have bytes")
  let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789-_.".utf8)
  require(name.allSatisfy(letters.contains), "a name has letters and digits")
}
