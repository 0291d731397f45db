import HTTPCodec

/// The state of one lookup, on the stack.
struct RouteSearch {
  let request: RouteRequest
  let method: UInt32
  /// Set for the second pass, which only asks what other methods would have done.
  var collectsMethods = false
  var methodMissed = false
  var allowed: UInt32 = 0

  @inline(__always)
  init(request: RouteRequest, method: UInt32) {
    self.request = request
    self.method = method
  }
}

extension TableView {
  func find(_ request: RouteRequest) -> RouteLookup {
    var search = RouteSearch(request: request, method: methodBit(request))
    let rule = scanHosts(&search)
    if rule >= 0 { return .route(rule) }
    // The Allow header is rare, so the common pass does not pay for it.
    guard search.methodMissed else { return .notFound }
    search.collectsMethods = true
    _ = scanHosts(&search)
    return search.allowed == 0
      ? .notFound : .methodNotAllowed(MethodSet(rawValue: search.allowed))
  }

  /// The name that a bit of a method set stands for; not for the last bit, which names none.
  func methodName(_ bit: Int) -> (UnsafePointer<UInt8>, Int) {
    if bit < MethodSet.firstOwnBit, let method = Method(rawValue: UInt8(truncatingIfNeeded: bit)) {
      return (method.name.utf8Start, method.name.utf8CodeUnitCount)
    }
    let (start, length) = ownMethods[bit &- MethodSet.firstOwnBit]
    return (text + Int(start), Int(length))
  }

  @inline(__always)
  func methodBit(_ request: RouteRequest) -> UInt32 {
    guard request.method == .other else { return 1 &<< UInt32(request.method.rawValue) }
    for index in 0..<ownMethodCount {
      let (start, length) = ownMethods[index]
      if Int(length) == request.methodLength,
        Bytes.equal(request.bytes + request.methodStart, text + Int(start), Int(length))
      {
        return 1 &<< UInt32(MethodSet.firstOwnBit &+ index)
      }
    }
    return 1 &<< 31
  }

  /// Exact host, then wildcards from the longest suffix, then any host.
  ///
  /// - Returns: The rule, or -1.
  private func scanHosts(_ search: inout RouteSearch) -> Int32 {
    let host = search.request.bytes + search.request.hostStart
    var length = search.request.hostLength
    if length > 1, host[length &- 1] == UInt8(ascii: ".") { length &-= 1 }
    if hasHosts {
      let group = hosts.child(of: 0, host, length, text: text, ignoringCase: true)
      if group >= 0 {
        let rule = scan(groups + Int(group), &search)
        if rule >= 0 { return rule }
      }
    }
    if hasWildcards {
      var node = longestSuffix(of: host, length)
      while node >= 0 {
        let rule = scan(groups + Int(labelNodes[Int(node)].group), &search)
        if rule >= 0 { return rule }
        node = labelNodes[Int(node)].shorter
      }
    }
    return anyGroup >= 0 ? scan(groups + Int(anyGroup), &search) : -1
  }

  /// The node of the longest wildcard that takes the host with one or more labels to spare.
  private func longestSuffix(of host: UnsafePointer<UInt8>, _ length: Int) -> Int32 {
    var node: Int32 = 0
    var best: Int32 = -1
    var end = length
    while labelNodes[Int(node)].childCount > 0 {
      var start = end
      while start > 0, host[start &- 1] != UInt8(ascii: ".") { start &-= 1 }
      // Nothing would be left for the star, not even an empty label.
      if start <= 1 { break }
      node = labelEdges.child(
        of: node,
        host + start,
        end &- start,
        text: text,
        ignoringCase: true
      )
      if node < 0 { break }
      if labelNodes[Int(node)].group >= 0 { best = node }
      end = start &- 1
    }
    return best
  }

  /// Exact path, then prefixes from the longest, then patterns, then any path.
  private func scan(_ group: UnsafePointer<HostGroup>, _ search: inout RouteSearch) -> Int32 {
    let count = search.request.path.count
    if count > 0, let path = search.request.path.baseAddress, path[0] == UInt8(ascii: "/") {
      var index = group.pointee.root
      var position = 0
      while position < count, pathNodes[Int(index)].childCount > 0 {
        let start = position &+ 1
        let end = Bytes.nextSlash(path, from: start, count: count)
        let child = pathEdges.child(
          of: index,
          path + start,
          end &- start,
          text: text,
          ignoringCase: false
        )
        if child < 0 { break }
        index = child
        position = end
      }
      if position == count {
        let rule = scan(pathNodes[Int(index)].exact, &search)
        if rule >= 0 { return rule }
      }
      while index >= 0 {
        let rule = scan(pathNodes[Int(index)].prefix, &search)
        if rule >= 0 { return rule }
        index = pathNodes[Int(index)].shorter
      }
      let rule = scan(group.pointee.patterns, &search)
      if rule >= 0 { return rule }
    }
    return scan(group.pointee.any, &search)
  }

  @inline(__always)
  private func scan(_ list: CandidateList, _ search: inout RouteSearch) -> Int32 {
    var candidate = candidates + Int(list.start)
    let end = candidate + Int(list.count)
    while candidate < end {
      let takesMethod = candidate.pointee.methods & search.method != 0
      if !takesMethod { search.methodMissed = true }
      if takesMethod != search.collectsMethods, holds(candidate, search.request) {
        if takesMethod { return candidate.pointee.rule }
        search.allowed |= candidate.pointee.methods
      }
      candidate += 1
    }
    return -1
  }

  @inline(__always)
  private func holds(_ candidate: UnsafePointer<Candidate>, _ request: RouteRequest) -> Bool {
    if candidate.pointee.pattern >= 0 {
      guard let path = request.path.baseAddress,
        patterns[Int(candidate.pointee.pattern)].matches(path, count: request.path.count)
      else { return false }
    }
    if candidate.pointee.headerCount | candidate.pointee.queryCount == 0 { return true }
    return conditionsHold(candidate, request)
  }

  private func conditionsHold(
    _ candidate: UnsafePointer<Candidate>,
    _ request: RouteRequest
  ) -> Bool {
    var condition = conditions + Int(candidate.pointee.conditions)
    for _ in 0..<candidate.pointee.headerCount {
      if !headerHolds(condition, request) { return false }
      condition += 1
    }
    for _ in 0..<candidate.pointee.queryCount {
      if !queryHolds(condition, request) { return false }
      condition += 1
    }
    return true
  }
}
