internal import Configuration
internal import Telemetry
internal import Units
internal import Upstream

/// What the routes of a configuration come to, with what they name of services: parts of them by port,
/// retries, second attempts and answers of their own.
///
/// Routes that stand in for others, their fallbacks, come behind all that can be matched.
struct RouteCompilation {
  private let compiler: SnapshotCompiler
  private let settings: Settings
  private let slots: [AdmissionSlot?]
  private let places: [String: Int]
  private(set) var compiled: [CompiledRoute] = []
  private(set) var variants: ServiceVariants
  private(set) var answers: [RouteAnswer] = []
  private(set) var repeated: [RetrySetting] = []
  /// By the names of services.
  private(set) var retries: [String: ServiceRetries] = [:]
  private(set) var hedged: [CompiledHedge] = []
  private(set) var hedges: [RouteHedges] = []
  /// Routes of the edge's own calls by the places of their services; none of them can be matched.
  private(set) var calls: [Int32: Int32] = [:]

  /// `slots`: The admission of each service, where it has one.
  init(
    _ compiler: SnapshotCompiler,
    _ settings: Settings,
    _ slots: [AdmissionSlot?]
  ) throws(EdgeError) {
    self.compiler = compiler
    self.settings = settings
    self.slots = slots
    places = Dictionary(
      uniqueKeysWithValues: settings.services.enumerated().map { ($1.name, $0) }
    )
    variants = ServiceVariants(count: settings.services.count)
    for route in settings.routes { try add(route) }
    for (place, route) in settings.routes.enumerated() {
      if let fallback = route.fallback { try add(fallback, of: route, at: place) }
    }
    for (index, service) in settings.services.enumerated() { addCalls(to: service.name, at: index) }
  }

  /// The route of the edge's own calls to a service: of the highest class, without retries, which
  /// whoever calls makes by itself.
  private mutating func addCalls(to service: String, at index: Int) {
    guard let place = compiler.services.place(of: service) else { return }
    calls[place] = Int32(compiled.count)
    compiled.append(
      CompiledRoute(
        service: Int32(index),
        answer: -1,
        metrics: compiler.edge.route(CallPlan.name),
        name: compiler.names.id(for: CallPlan.name),
        className: compiler.names.id(for: settings.classes[0]),
        classPlace: 0,
        timeout: compiler.callTimes.answer,
        perTryTimeout: compiler.callTimes.answer,
        // Not one of those that are told apart: there are few of them.
        admissionRoute: Int32(AdmissionTally.routes - 1)
      )
    )
  }

  private mutating func add(_ route: RouteSetting) throws(EdgeError) {
    var new = compile(route)
    if let name = route.serviceName {
      if route.retry.retries > 0 {
        new.retry = Int32(repeated.count)
        repeated.append(route.retry)
        try addRetries(of: name)
      }
      if let hedge = route.hedge { try add(hedge, of: route, to: name, &new) }
    }
    compiled.append(new)
  }

  private mutating func add(
    _ hedge: HedgeSetting,
    of route: RouteSetting,
    to service: String,
    _ new: inout CompiledRoute
  ) throws(EdgeError) {
    let record = try compiler.hedges.hedges(of: route.name)
    // Without retries of its own it is the usual conditions that cost an answer its win.
    if new.retry < 0 { repeated.append(RetrySetting()) }
    let judge = new.retry < 0 ? Int32(repeated.count - 1) : new.retry
    new.hedge = Int32(hedged.count)
    hedged.append(
      CompiledHedge(
        place: record.place,
        judge: judge,
        share: hedge.percentile,
        record: .passUnretained(record)
      )
    )
    hedges.append(record)
    // Hedges are paid from the same budget.
    try addRetries(of: service)
  }

  /// The route that stands in for another one: the same in all but where it leads.
  private mutating func add(
    _ fallback: RouteSetting.Action,
    of route: RouteSetting,
    at place: Int
  ) throws(EdgeError) {
    var standIn = route
    standIn.action = fallback
    var new = compile(standIn)
    new.fallbacks = compiler.edge.fallbacks(
      of: route.name,
      to: standIn.serviceName ?? "respond",
      ReplyReason.fallbackReasons.map { "\($0.wording.token)" }
    )
    if let name = standIn.serviceName {
      // Its latencies say nothing of the route's own: no second attempts.
      new.retry = route.retry.retries > 0 ? compiled[place].retry : -1
      if new.retry >= 0 { try addRetries(of: name) }
    }
    compiled[place].fallback = Int32(compiled.count)
    compiled.append(new)
  }

  private mutating func addRetries(of service: String) throws(EdgeError) {
    retries[service] = try compiler.retries.retries(of: service)
  }

  private mutating func compile(_ route: RouteSetting) -> CompiledRoute {
    var service: Int32 = -1
    var answer: Int32 = -1
    var slot: AdmissionSlot?
    switch route.action {
    case .service(let name, let port):
      let place = places[name] ?? 0
      service = Int32(variants.place(place, port))
      slot = slots[place]
    case .respond(let response):
      answer = Int32(answers.count)
      var fields = response.headers.map { ($0.name, $0.value) }
      if !response.body.isEmpty, !fields.contains(where: { $0.0.lowercased() == "content-type" }) {
        fields.append(("content-type", "text/plain; charset=utf-8"))
      }
      answers.append(RouteAnswer(status: response.status, fields: fields, body: response.body))
    }
    var new = CompiledRoute(
      service: service,
      answer: answer,
      metrics: compiler.edge.route(route.name),
      name: compiler.names.id(for: route.name),
      className: compiler.names.id(for: settings.classes[route.classIndex]),
      classPlace: Int32(route.classIndex),
      timeout: route.timeout,
      perTryTimeout: route.perTryTimeout ?? route.timeout
    )
    if let slot { new.admissionRoute = slot.tally.place(of: route.name) }
    return new
  }
}

/// Services, and parts of them that have one port: routes may name a port.
struct ServiceVariants {
  struct Variant: Hashable {
    var service: Int
    var port: UInt16?
  }

  private(set) var all: [Variant]
  private var extra: [Variant: Int] = [:]

  init(count: Int) { all = (0..<count).map { Variant(service: $0, port: nil) } }

  mutating func place(_ service: Int, _ port: UInt16?) -> Int {
    guard port != nil else { return service }
    let variant = Variant(service: service, port: port)
    if let place = extra[variant] { return place }
    extra[variant] = all.count
    all.append(variant)
    return all.count - 1
  }
}

extension RouteSetting {
  /// The service that it leads to.
  var serviceName: String? {
    if case .service(let name, _) = action { name } else { nil }
  }

  func leads(to name: String) -> Bool {
    if case .service(name, _)? = fallback { return true }
    return serviceName == name
  }
}
