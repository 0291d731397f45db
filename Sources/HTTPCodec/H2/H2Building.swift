/// The head that is arriving, of whichever kind.
///
/// There is one at most in a connection, since nothing may come between the frames of a field
/// section (RFC 9113 section 4.3).
struct H2Building: BitwiseCopyable {
  enum Kind: UInt8, BitwiseCopyable {
    /// None, or one that is of no interest any more.
    case none
    case request
    case response
    case trailers
    /// A request that was refused before it began; its fields are counted.
    case refused
  }

  private(set) var kind = Kind.none
  /// The stream it is for.
  private(set) var stream: Int32 = -1
  var request: H2RequestBuilder
  var response: H2ResponseBuilder
  var trailers: H2TrailerBuilder
  /// Fields of a refused section.
  private var passed = 0

  init(_ block: H2FieldBlock) {
    request = H2RequestBuilder(block: block)
    response = H2ResponseBuilder(block: block)
    trailers = H2TrailerBuilder(block: block)
  }

  mutating func begin(_ kind: Kind, stream: Int32, in block: H2FieldBlock) {
    self.kind = kind
    self.stream = stream
    switch kind {
    case .none: break
    case .refused:
      request = H2RequestBuilder(block: block)
      passed = 0
    case .request: request = H2RequestBuilder(block: block)
    case .response: response = H2ResponseBuilder(block: block)
    case .trailers: trailers = H2TrailerBuilder(block: block)
    }
  }

  mutating func end() { kind = .none }

  @inline(__always)
  mutating func add(
    _ name: UnsafePointer<UInt8>,
    _ nameLength: Int,
    _ value: UnsafePointer<UInt8>,
    _ length: Int,
    isSensitive: Bool,
    rules: H2RequestBuilder.Rules
  ) {
    switch kind {
    case .none: break
    case .refused: passed &+= 1
    case .request:
      request.add(name, nameLength, value, length, isSensitive: isSensitive, rules: rules)
    case .response:
      response.add(
        name,
        nameLength,
        value,
        length,
        isSensitive: isSensitive,
        limits: rules.limits
      )
    case .trailers:
      trailers.add(
        name,
        nameLength,
        value,
        length,
        isSensitive: isSensitive,
        limits: rules.limits
      )
    }
  }

  var fault: H2HeadFault? {
    switch kind {
    case .none, .refused: nil
    case .request: request.fault
    case .response: response.fault
    case .trailers: trailers.fault
    }
  }

  /// Fields that are decoded for nothing: those behind a fault.
  ///
  /// Of a refused section those past `AbuseBudget.usualFields`, as it is not its client's fault.
  @inline(__always)
  var excess: Int {
    switch kind {
    case .none: 0
    case .request: request.dropped
    case .response: response.dropped
    case .trailers: trailers.dropped
    case .refused: passed &- AbuseBudget.usualFields
    }
  }

  var block: H2FieldBlock {
    get {
      switch kind {
      case .none, .request, .refused: request.block
      case .response: response.block
      case .trailers: trailers.block
      }
    }
    set {
      switch kind {
      case .none, .request, .refused: request.block = newValue
      case .response: response.block = newValue
      case .trailers: trailers.block = newValue
      }
    }
  }

  /// Moves what has arrived to where `place` is.
  mutating func move(to place: H2FieldBlock) {
    var block = block
    place.bytes.update(from: block.bytes, count: block.count)
    place.fields.update(from: block.fields, count: block.fieldCount)
    block.bytes = place.bytes
    block.fields = place.fields
    self.block = block
  }
}

/// A head that had not arrived whole when its bytes ended, out of the workspace's way.
///
/// It is allocated, which happens where a field section is cut in two by the reading: once in a
/// block of input at most.
struct H2Carry {
  private var building: H2Building

  init(_ source: H2Building) {
    building = source
    let block = source.block
    var place = block
    place.bytes = .allocate(capacity: max(1, block.count))
    place.fields = .allocate(capacity: max(1, block.fieldCount))
    building.move(to: place)
  }

  /// Gives the head back to the workspace and frees what held it.
  consuming func restore(to place: H2FieldBlock) -> H2Building {
    var building = building
    building.move(to: place)
    discard()
    return building
  }

  func discard() {
    building.block.bytes.deallocate()
    building.block.fields.deallocate()
  }
}
