// swift-tools-version: 6.2
import PackageDescription

// One libFuzzer target per parser of bytes from outside. A package of its own, because its flags must not
// reach the product; `run.sh` builds it.
let fuzz: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .treatAllWarnings(as: .error),
  // The same sources are a test target of the product's package, which replays the corpus.
  .define("FUZZER"),
  .unsafeFlags(["-parse-as-library"]),
]

/// The library that each target fuzzes.
let parsers = [
  "FuzzRequest": "HTTPCodec", "FuzzResponse": "HTTPCodec", "FuzzChunked": "HTTPCodec",
  "FuzzTrailers": "HTTPCodec", "FuzzH2": "HTTPCodec", "FuzzProxy": "HTTPCodec",
  "FuzzFields": "HTTPCodec", "FuzzTrace": "HTTPCodec", "FuzzHello": "TLS",
  "FuzzAdmin": "Edge", "FuzzPath": "Routing", "FuzzService": "Upstream",
  "FuzzLoad": "Upstream", "FuzzRegistry": "Upstream", "FuzzRegex": "Routing",
  "FuzzConfiguration": "Configuration",
]

let package = Package(
  name: "Fuzz",
  dependencies: [.package(name: "spillway", path: "../..")],
  targets: parsers.sorted { $0.key < $1.key }.map { name, library in
    .executableTarget(
      name: name,
      dependencies: [
        "FuzzSupport", .product(name: library, package: "spillway"),
        .product(name: "Units", package: "spillway"),
      ],
      swiftSettings: fuzz
    )
  } + [
    .target(
      name: "FuzzSupport",
      dependencies: [.product(name: "HTTPCodec", package: "spillway")],
      swiftSettings: fuzz
    )
  ]
)
