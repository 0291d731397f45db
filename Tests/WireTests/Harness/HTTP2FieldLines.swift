import HTTPCodec

extension H2Workspace {
  /// Calls `body` with the lines as a list of fields, in their order.
  func withList<Result>(
    _ lines: [(String, String)],
    _ body: (borrowing H2FieldList) -> Result
  ) -> Result {
    // One byte more than there is, so that there is a place to point at where there are no lines.
    var bytes: [UInt8] = [0]
    var fields: [HeadField] = []
    for (name, value) in lines {
      fields.append(
        HeadField(
          nameStart: UInt16(bytes.count),
          nameLength: UInt16(name.utf8.count),
          valueStart: UInt16(bytes.count + name.utf8.count),
          valueLength: UInt16(value.utf8.count)
        )
      )
      bytes += Array(name.utf8) + Array(value.utf8)
    }
    return bytes.withUnsafeBufferPointer { buffer in
      var list = H2FieldList(self)
      if let base = buffer.baseAddress { for field in fields { list.add(field, of: base) } }
      return body(list)
    }
  }
}
