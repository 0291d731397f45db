// swift-tools-version: 6.2
import PackageDescription

// One libFuzzer target per parser of peer bytes. A package of its own, because its flags must not
// reach the product; `run.sh` builds it.
let fuzz: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .treatAllWarnings(as: .error),
  .unsafeFlags(["-parse-as-library"]),
]

let parsers = ["FuzzRequest", "FuzzResponse", "FuzzChunked", "FuzzTrailers", "FuzzH2"]

let package = Package(
  name: "Fuzz",
  dependencies: [.package(name: "spillway", path: "../..")],
  targets: parsers.map { name in
    .executableTarget(
      name: name,
      dependencies: [
        "FuzzSupport", .product(name: "HTTPCodec", package: "spillway"),
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
