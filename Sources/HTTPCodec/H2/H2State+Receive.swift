/// What nghttp2 reports of the peer's frames.
extension H2State {
  // MARK: - Heads

  /// A field section begins.
  ///
  /// - Returns: False to pass over it, which nghttp2 does without telling of its fields: only where
  ///   they cost next to nothing, or `H2FrameWalker` has charged them.
  mutating func beginHead(_ id: Int32, isRequest: Bool) -> Bool {
    guard let native, !isCut, budget.exhausted == nil else { return false }
    var index = native.index(of: id)
    if isRequest {
      index = open(id)
      guard index >= 0, native.attach(index, to: id) else {
        expect(native.reset(id, .refusedStream))
        memory.pointee.building.begin(.refused, stream: -1, in: memory.pointee.block)
        return true
      }
    }
    guard index >= 0 else { return false }
    let hasHead = stream(index).pointee.flags.contains(.hasHead)
    let kind: H2Building.Kind = hasHead ? .trailers : isServer ? .request : .response
    memory.pointee.building.begin(kind, stream: index, in: memory.pointee.block)
    return true
  }

  /// A field of the section under way.
  ///
  /// A section at fault goes on to its end, so that its fields are counted: the table must be kept in
  /// step, so they are decoded in any case.
  mutating func addField(
    _ name: UnsafePointer<UInt8>,
    _ nameLength: Int,
    _ value: UnsafePointer<UInt8>,
    _ length: Int,
    isSensitive: Bool
  ) -> FieldVerdict {
    if memory.pointee.building.kind == .none { return .proceed }
    memory.pointee.building.add(
      name,
      nameLength,
      value,
      length,
      isSensitive: isSensitive,
      rules: rules
    )
    // Services are trusted with it: a session of theirs is shared by many clients.
    let excess = isServer ? memory.pointee.building.excess : 0
    if excess > 0 {
      let weight = AbuseBudget.excessWeight(nameLength &+ length, at: excess)
      if budget.charge(.fieldFlood, weight) { return .proceed }
      enforceBudget()
      return .abort
    }
    if memory.pointee.building.fault != nil { return .proceed }
    return memory.pointee.stopsBuilding() ? .pause : .proceed
  }

  /// The section under way is whole.
  mutating func endHead(endsStream: Bool) {
    let kind = memory.pointee.building.kind
    guard kind != .none else { return }
    let index = memory.pointee.building.stream
    let block = memory.pointee.building.block
    let extra = block.arrived &- AbuseBudget.usualFields
    if extra > 0 { budget.charge(.fieldFlood, extra) }
    do throws(H2HeadFault) {
      switch kind {
      case .none, .refused: break
      case .request: try endRequest(index, endsStream)
      case .response: try endResponse(index, endsStream)
      case .trailers: try endTrailers(index, endsStream)
      }
    } catch {
      if error.isOversized, kind == .request {
        announceOversized(index, error, endsStream)
      } else {
        refuse(index, error)
      }
    }
    memory.pointee.building.end()
  }

  private mutating func endRequest(_ index: Int32, _ endsStream: Bool) throws(H2HeadFault) {
    let head = try memory.pointee.building.request.finish(endsStream: endsStream, rules: rules)
    let place = memory.pointee.keep(memory.pointee.building.block)
    guard place >= 0 else { throw .headTooLarge }
    memory.pointee.requests[Int(place)] = head
    let entry = stream(index)
    entry.pointee.flags.formUnion([.hasHead, .isAnnounced])
    entry.pointee.expected = head.head.contentLength
    if endsStream { entry.pointee.flags.insert(.isReceived) }
    if head.priority != H2Priority(), let native {
      expect(native.prioritise(entry.pointee.id, head.priority))
    }
    var event = H2Event(.request, stream: index)
    event.start = place
    event.isLast = endsStream
    memory.pointee.append(event)
  }

  private mutating func announceOversized(
    _ index: Int32,
    _ fault: H2HeadFault,
    _ endsStream: Bool
  ) {
    let entry = stream(index)
    entry.pointee.flags.formUnion([.hasHead, .isAnnounced])
    if endsStream { entry.pointee.flags.insert(.isReceived) }
    var event = H2Event(.oversizedRequest, stream: index)
    event.fault = fault
    event.isHead = memory.pointee.building.request.isHead
    event.isLast = endsStream
    memory.pointee.append(event)
  }

  private mutating func endResponse(_ index: Int32, _ endsStream: Bool) throws(H2HeadFault) {
    let entry = stream(index)
    let head = try memory.pointee.building.response.finish(
      endsStream: endsStream,
      to: entry.pointee.method
    )
    let place = memory.pointee.keep(memory.pointee.building.block)
    guard place >= 0 else { throw .headTooLarge }
    memory.pointee.responses[Int(place)] = head
    var event = H2Event(head.head.isInterim ? .interim : .response, stream: index)
    event.token = entry.pointee.token
    event.start = place
    event.isLast = endsStream
    if !head.head.isInterim {
      entry.pointee.flags.insert(.hasHead)
      if endsStream { entry.pointee.flags.insert(.isReceived) }
      let isBodyless =
        entry.pointee.method == .head || head.head.status == 204 || head.head.status == 304
      if isBodyless {
        entry.pointee.flags.insert(.isBodyless)
      } else if !head.head.isUpgrade {
        entry.pointee.expected = head.head.contentLength
      }
    }
    memory.pointee.append(event)
  }

  private mutating func endTrailers(_ index: Int32, _ endsStream: Bool) throws(H2HeadFault) {
    let section = try memory.pointee.building.trailers.finish(endsStream: endsStream)
    let entry = stream(index)
    try checkLength(entry)
    let place = memory.pointee.keep(memory.pointee.building.block)
    guard place >= 0 else { throw .headTooLarge }
    memory.pointee.trailers[Int(place)] = section
    entry.pointee.flags.insert(.isReceived)
    var event = H2Event(.trailers, stream: index)
    event.token = entry.pointee.token
    event.start = place
    event.isLast = true
    memory.pointee.append(event)
  }

  // MARK: - Bodies

  /// Bytes of a body, inside what is being received.
  mutating func addData(_ id: Int32, _ bytes: UnsafePointer<UInt8>, _ count: Int) {
    guard let native, let input else { return }
    let index = native.index(of: id)
    guard index >= 0 else {
      expect(native.consume(count))
      return
    }
    let entry = stream(index)
    if entry.pointee.unconsumed &+ count > settings.streamWindow {
      // nghttp2 has reset the stream for it and tells of the bytes all the same.
      expect(native.consume(count))
      return
    }
    entry.pointee.received &+= Int64(count)
    if let fault = fault(of: entry) {
      // What was not passed on is consumed, or the connection's window would be lost bit by bit.
      expect(native.consume(count))
      refuse(index, fault)
      return
    }
    entry.pointee.unconsumed &+= count
    var event = H2Event(.data, stream: index)
    event.token = entry.pointee.token
    event.start = Int32(truncatingIfNeeded: bytes - input)
    event.count = Int32(truncatingIfNeeded: count)
    memory.pointee.append(event)
  }

  private func fault(of entry: UnsafeMutablePointer<H2Stream>) -> H2HeadFault? {
    let flags = entry.pointee.flags
    if !flags.contains(.hasHead) || flags.contains(.isBodyless) { return .unexpectedBody }
    let isOver = entry.pointee.expected >= 0 && entry.pointee.received > entry.pointee.expected
    return isOver ? .disagreeingContentLength : nil
  }

  private func checkLength(_ entry: UnsafeMutablePointer<H2Stream>) throws(H2HeadFault) {
    if entry.pointee.expected >= 0, entry.pointee.received != entry.pointee.expected {
      throw .disagreeingContentLength
    }
  }

  /// The body ended without trailers.
  mutating func endData(_ id: Int32) {
    guard let native else { return }
    let index = native.index(of: id)
    guard index >= 0 else { return }
    let entry = stream(index)
    guard entry.pointee.flags.contains(.hasHead) else {
      refuse(index, .unexpectedBody)
      return
    }
    do throws(H2HeadFault) {
      try checkLength(entry)
    } catch {
      refuse(index, error)
      return
    }
    entry.pointee.flags.insert(.isReceived)
    if let last = memory.pointee.lastData(of: index) {
      last.pointee.isLast = true
      return
    }
    var event = H2Event(.data, stream: index)
    event.token = entry.pointee.token
    event.isLast = true
    memory.pointee.append(event)
  }

  // MARK: - Other frames

  mutating func noteReset(_ id: Int32) {
    guard let index = native?.index(of: id), index >= 0 else { return }
    stream(index).pointee.flags.insert(.isResetByPeer)
  }

  /// A frame of SETTINGS begins, or goes on in another reading.
  mutating func markQueue() { queuedBefore = native?.queued ?? 0 }

  mutating func noteSettings(isAcknowledgement: Bool) {
    guard !isAcknowledgement else {
      unacknowledged = max(0, unacknowledged - 1)
      return
    }
    knowsPeer = true
    // The acknowledgement is one; nghttp2 1.52 adds RST_STREAM for each stream whose window the new
    // initial window takes past its range, which is an error of the connection (section 6.9.2).
    if let native, native.queued > queuedBefore &+ 1 { cut(.violation(.flowControlError)) }
    memory.pointee.append(H2Event(.settings))
  }

  mutating func notePong(_ number: UInt64) {
    var event = H2Event(.pong)
    event.pong = number
    memory.pointee.append(event)
  }

  mutating func noteGoAway(last: Int32, _ code: H2ErrorCode) {
    var event = H2Event(.goAway)
    event.start = last
    event.code = code
    memory.pointee.append(event)
  }

  /// Bytes of a PRIORITY_UPDATE; more than is of use is dropped.
  mutating func addPriorityUpdate(_ bytes: UnsafePointer<UInt8>, _ count: Int) {
    for offset in 0..<min(count, update.count &- updateCount) {
      update[updateCount] = bytes[offset]
      updateCount &+= 1
    }
  }

  /// A PRIORITY_UPDATE is whole (RFC 9218 section 7.1).
  ///
  /// One for a stream that is not open is dropped, which the RFC allows: keeping it would be
  /// memory that a peer asks for.
  mutating func applyPriorityUpdate() {
    let count = updateCount
    updateCount = 0
    guard isServer, count >= 4, let native else { return }
    let id =
      Int32(update[0] & 0x7F) &<< 24 | Int32(update[1]) &<< 16 | Int32(update[2]) &<< 8
      | Int32(update[3])
    guard native.index(of: id) >= 0 else { return }
    let priority = withUnsafeBytes(of: update) { bytes in
      guard let start = bytes.baseAddress else { return H2Priority() }
      return H2Priority(
        parsing: start.assumingMemoryBound(to: UInt8.self) + 4,
        count: count &- 4
      )
    }
    expect(native.prioritise(id, priority))
  }
}
