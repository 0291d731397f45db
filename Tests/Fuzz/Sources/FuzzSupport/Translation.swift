public import HTTPCodec

/// Holds a request head that came over HTTP/2 against the parser of HTTP/1.1: whoever reads it next
/// must read the same.
///
/// `table` has room for 64 fields.
public func requireTranslated(_ request: H2RequestHead, _ table: UnsafeMutablePointer<HeadField>) {
  var head = RequestHead()
  let length = Int(request.head.headLength)
  let outcome = RequestParser.parse(
    request.bytes,
    count: length,
    limits: HeadLimits(maximumFields: 64),
    fields: table,
    into: &head
  )
  // A CONNECT with a path is nothing that HTTP/1.1 knows.
  if request.protocolName != nil { return }
  require(outcome == .complete, "a request is one in HTTP/1.1 too")
  require(Int(head.headLength) == length, "it ends where it ends")
  require(head.fieldCount == request.head.fieldCount, "no field is hidden")
  require(head.method == request.head.method, "the method is the same")
  require(head.pathStart == request.head.pathStart, "the path begins at the same place")
  require(head.pathLength == request.head.pathLength, "the path is the same")
  require(head.queryLength == request.head.queryLength, "the query is the same")
  require(head.authorityLength == request.head.authorityLength, "the authority is the same")
  require(head.contentLength == request.head.contentLength, "the length is the same")
  require(!head.isChunked && !head.wantsUpgrade, "nothing frames the body but HTTP/2")
  requireSound(
    request.bytes,
    fields: request.fields,
    count: Int(request.head.fieldCount),
    start: Int(request.head.fieldsStart),
    end: length
  )
}
