"""Writes what the functions are made of, a CycloneDX bill of materials, from Cargo's own resolution.

    sbom.py FILE FUNCTION...

Only what goes into the functions is listed: no build scripts' and no tests' dependencies.
"""

import json
import subprocess
import sys
import tomllib

from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot5
from packageurl import PackageURL

# Whichever of these they are built for, see ARCH of `make deploy`; the list is the same.
TARGET = "aarch64-unknown-linux-gnu"


def resolved():
    """Cargo's packages by id, and for each the ids of what it is made of."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", TARGET]
    metadata = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    made_of = {
        node["id"]: {dep["pkg"] for dep in node["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])}
        for node in metadata["resolve"]["nodes"]
    }
    return packages, made_of


def reached(roots, made_of):
    """All that roots are made of, themselves among it."""
    found, left = set(), list(roots)
    while left:
        package = left.pop()
        if package not in found:
            found.add(package)
            left += made_of[package]
    return found


def checksums():
    """The SHA-256 of every package that comes from a registry, by name and version."""
    with open("Cargo.lock", "rb") as lock:
        return {(p["name"], p["version"]): p.get("checksum") for p in tomllib.load(lock)["package"]}


def component(package, checksum, kind):
    """A package as CycloneDX has it."""
    licence = package["license"]
    return Component(
        type=kind,
        name=package["name"],
        version=package["version"],
        bom_ref=f"{package['name']}@{package['version']}",
        purl=PackageURL("cargo", None, package["name"], package["version"]),
        licenses=[LicenseFactory().make_from_string(licence)] if licence else [],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=checksum)] if checksum else [],
    )


def main(file, *functions):
    """Writes the bill, and says how long it is."""
    packages, made_of = resolved()
    roots = {id for id, package in packages.items() if package["name"] in functions and package["source"] is None}
    if len(roots) != len(functions):
        sys.exit(f"{len(functions)} functions were named, {len(roots)} packages found")
    sums = checksums()
    components = {}
    for id in reached(roots, made_of):
        package = packages[id]
        kind = ComponentType.APPLICATION if id in roots else ComponentType.LIBRARY
        components[id] = component(package, sums.get((package["name"], package["version"])), kind)
    bom = Bom(components=components.values())
    for id, made in components.items():
        bom.register_dependency(made, [components[dependency] for dependency in made_of[id]])
    JsonV1Dot5(bom).output_to_file(file, allow_overwrite=True, indent=1)
    print(f"{file}: {len(components)} components")


if __name__ == "__main__":
    main(*sys.argv[1:])
