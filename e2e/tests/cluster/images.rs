//! Images: what the Dockerfile makes is what the tests run.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use e2e::image;

/// Lines of `tar -tv` without sizes, owners and times: each path with its mode.
fn listed(archive: &Path) -> BTreeMap<String, String> {
    let output = Command::new("tar").arg("-tvf").arg(archive).output().expect("tar");
    let text = String::from_utf8(output.stdout).expect("text");
    let entries = text.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        Some(((*words.last()?).trim_start_matches("./").trim_end_matches('/').to_owned(), (*words.first()?).to_owned()))
    });
    entries.filter(|(path, _)| !path.is_empty()).collect()
}

/// The lines of the Dockerfile that gather the files, as a script in a folder instead of a builder.
fn gathering(folder: &Path) -> String {
    let file = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Dockerfile")).expect("the Dockerfile");
    let (_, rest) = file.split_once("RUN set -e; ").expect("the lines that gather");
    let lines = rest.split_once("\n\n").expect("an empty line after them").0;
    let place = folder.display().to_string();
    lines.replace("\\\n", "").replace("=/images/", &format!("={place}/images/")).replace("=/usr/local/bin/", &format!("={place}/bin/"))
}

#[test]
fn the_dockerfile_gathers_the_files_that_the_tests_run() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let inside = |name: &str| folder.path().join(name);
    std::fs::create_dir(inside("bin")).expect("a folder");
    // Any binary does that is linked with several libraries.
    for name in ["bin/portolan-gateway", "bin/portolan-operator"] {
        std::fs::copy("/bin/ls", inside(name)).expect("a copy");
    }
    let gathered = Command::new("sh").arg("-ec").arg(gathering(folder.path())).status().expect("sh");
    assert!(gathered.success());
    for name in ["gateway", "operator"] {
        let ours = image::of_binary(&inside(&format!("bin/portolan-{name}")), &[]);
        let unpacked = inside(&format!("unpacked-{name}"));
        std::fs::create_dir(&unpacked).expect("a folder");
        assert!(Command::new("tar").arg("-xf").arg(&ours.archive).arg("-C").arg(&unpacked).status().expect("tar").success());
        let find = Command::new("find").arg(&unpacked).args(["-name", "layer.tar"]).output().expect("find");
        let ours = listed(Path::new(String::from_utf8(find.stdout).expect("a path").trim()));
        let theirs = inside(&format!("{name}.tar"));
        assert!(
            Command::new("tar")
                .arg("-cf")
                .arg(&theirs)
                .arg("-C")
                .arg(inside("images").join(name))
                .arg(".")
                .status()
                .expect("tar")
                .success()
        );
        let files = |all: BTreeMap<String, String>| all.into_iter().filter(|(_, mode)| !mode.starts_with('d')).collect::<BTreeMap<_, _>>();
        let theirs = listed(&theirs);
        assert_eq!(theirs.get("tmp").map(String::as_str), Some("drwxrwxrwt"));
        assert_eq!(ours.get("tmp"), theirs.get("tmp"));
        assert!(theirs.keys().all(|path| !path.ends_with("/sh") && !path.contains("busybox")), "no shell");
        assert_eq!(files(ours), files(theirs));
    }
}

#[test]
fn the_dockerfile_runs_as_the_tests_do() {
    let file = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Dockerfile")).expect("the Dockerfile");
    let rust = include_str!("../../../Cargo.toml").lines().find_map(|line| line.strip_prefix("rust-version = ")).expect("a version");
    assert!(file.contains(&format!("FROM rust:{}-slim-", rust.trim_matches('"'))), "the builder has the version of Cargo.toml");
    let stages: Vec<&str> = file.split("\nFROM scratch AS ").skip(1).collect();
    assert_eq!(stages.len(), 2);
    for stage in stages {
        let name = stage.split_whitespace().next().expect("a name");
        assert!(stage.contains("\nUSER 65532:65532\n"), "{name} is not root");
        assert!(stage.contains(&format!("\nENTRYPOINT [\"/usr/local/bin/portolan-{name}\"]\n")), "{name} runs its binary");
    }
    let arguments = image::GATEWAY_ARGUMENTS.map(|word| format!("\"{word}\"")).join(", ");
    assert!(file.contains(&format!("\nCMD [{arguments}]\n")), "the gateway has the arguments of the tests' image: {arguments}");
}
