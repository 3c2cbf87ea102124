use proptest::prelude::{Strategy, any};
use proptest::{prop_assert, prop_assert_eq, proptest, sample};

use super::*;

const PLACE: Place = Place { provider: [1; 8], credential: [2; 8] };

fn keys(seeds: &[u8]) -> Arc<Keys> {
    let lines: Vec<String> = seeds.iter().map(|seed| format!("{seed:02x}").repeat(32)).collect();
    Arc::new(Keys::parse(&lines.join("\n")).expect("keys"))
}

fn seals(seeds: &[u8], team: &str) -> Seals {
    Seals::new(keys(seeds), Tenant { gateway: "house/portolan", team })
}

fn marked(seals: &Seals, name: &str) -> String {
    let (at, mark) = seals.mark(name);
    format!("{}{mark}{}", &name[..at], &name[at..])
}

fn id() -> impl Strategy<Value = String> {
    "(file-|batch_|resp_|)[!-~]{1,60}".prop_filter("an id", |id| !id.is_empty())
}

proptest! {
    #[test]
    fn an_object_has_one_text_and_comes_back_as_it_was(id in id(), provider in any::<[u8; 8]>(), credential in any::<[u8; 8]>()) {
        let (seals, place) = (seals(&[1], "a"), Place { provider, credential });
        let sealed = seals.seal(Kind::File, place, &id).expect("an id");
        prop_assert_eq!(Some(sealed.clone()), seals.seal(Kind::File, place, &id));
        prop_assert!(sealed.len() < 256 && sealed.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{}", sealed);
        prop_assert!(!sealed.contains(&id) || id.len() < 4);
        prop_assert_eq!(seals.open(Kind::Response, &sealed), None);
        prop_assert_eq!(seals.open(Kind::File, &sealed), Some((place, id)));
    }

    #[test]
    fn one_changed_byte_opens_nothing(id in id(), at in any::<sample::Index>(), to in "[ -~]") {
        let seals = seals(&[1], "a");
        let sealed = seals.seal(Kind::File, PLACE, &id).expect("an id");
        let at = at.index(sealed.len());
        let mut changed = sealed.clone();
        changed.replace_range(at..=at, &to);
        prop_assert!(changed == sealed || seals.open(Kind::File, &changed).is_none(), "{} {}", sealed, changed);
        prop_assert_eq!(seals.open(Kind::File, &sealed[..at]), None);
        prop_assert_eq!(seals.open(Kind::File, &format!("{sealed}{to}")), None);
    }

    #[test]
    fn another_tenant_or_another_key_opens_nothing(id in id(), team in "[a-z]{1,8}") {
        let own = seals(&[1], "own").seal(Kind::File, PLACE, &id).expect("an id");
        prop_assert!(team == "own" || seals(&[1], &team).open(Kind::File, &own).is_none());
        prop_assert_eq!(seals(&[2], "own").open(Kind::File, &own), None);
        let elsewhere = Seals::new(keys(&[1]), Tenant { gateway: "house/other", team: "own" });
        prop_assert_eq!(elsewhere.open(Kind::File, &own), None);
    }

    #[test]
    fn whatever_a_client_writes_opens_nothing_and_does_no_harm(text in "\\PC{0,600}", tail in "[A-Za-z0-9_-]{0,600}") {
        prop_assert_eq!(seals(&[1], "a").open(Kind::File, &text), None);
        prop_assert_eq!(seals(&[1], "a").open(Kind::File, &format!("file-{tail}")), None);
    }

    #[test]
    fn a_marked_name_is_its_tenants_alone_whatever_it_was(name in "[ -~]{1,40}", forged in "[a-z0-9]{10}") {
        let (own, other) = (seals(&[1], "own"), seals(&[1], "other"));
        for name in [name.clone(), format!("{name}{}", other.mark("").1), format!("{name}{}.pdf", other.mark("").1), format!("{name}.ptl-{forged}")] {
            let marked = marked(&own, &name);
            prop_assert_eq!(own.unmarked(&marked), Some(name));
            prop_assert_eq!(other.unmarked(&marked), None);
        }
    }
}

#[test]
fn what_tells_the_type_of_a_file_stays_at_its_end() {
    let seals = seals(&[1], "a");
    let (_, mark) = seals.mark("");
    assert_eq!((mark.len(), marked(&seals, "report.tar.gz")), (15, format!("report.tar{mark}.gz")));
    assert_eq!(marked(&seals, "README"), format!("README{mark}"));
    assert_eq!(marked(&seals, "a.d/README"), format!("a.d/README{mark}"));
    for stranger in ["report.pdf", "", ".ptl-", "x.ptl-aaaaaaaaaa.pdf", "é.ptl-é"] {
        assert_eq!(seals.unmarked(stranger), None, "{stranger}");
    }
}

#[test]
fn the_first_key_seals_and_each_opens() {
    let old = seals(&[1], "a").seal(Kind::File, PLACE, "file-abc").expect("an id");
    let rotated = seals(&[2, 1], "a");
    assert_eq!(rotated.open(Kind::File, &old), Some((PLACE, "file-abc".to_owned())));
    let new = rotated.seal(Kind::File, PLACE, "file-abc").expect("an id");
    assert_ne!(new, old);
    assert_eq!(seals(&[1], "a").open(Kind::File, &new), None);
    assert_eq!(rotated.unmarked(&marked(&seals(&[1], "a"), "x.pdf")), Some("x.pdf".to_owned()), "what was marked before is still found");
}

#[test]
fn a_text_is_that_of_the_first_day() {
    // Ids outlive releases: whoever changes this makes every id that is out there worth nothing.
    let sealed = seals(&[1], "a").seal(Kind::File, PLACE, "file-abc123");
    assert_eq!(sealed.as_deref(), Some("file-AW-u51l2y-OPvKZc0t5scW62oZllGg5CA1nsPZthLZKC-f8YFC6n3XEjoLX4ETyLbUl_x8ZO6do"));
    assert_eq!(seals(&[1], "a").mark("").1, ".ptl-6s2gsg3r25");
}

#[test]
fn what_is_no_id_is_not_sealed_and_what_is_no_key_is_named() {
    let seals = seals(&[1], "a");
    for id in ["", "a b", "é", &"x".repeat(257)] {
        assert_eq!(seals.seal(Kind::File, PLACE, id), None, "{id}");
    }
    let longest = seals.seal(Kind::File, PLACE, &"x".repeat(256)).expect("an id");
    assert_eq!(seals.open(Kind::File, &longest), Some((PLACE, "x".repeat(256))));
    let good = "ab".repeat(32);
    for (text, bad) in [
        ("", BadKeys::None),
        ("# a word\n\n", BadKeys::None),
        (&format!("{good}\nab\n"), BadKeys::Line { line: 2 }),
        (&format!("\n{}", "zz".repeat(32)), BadKeys::Line { line: 2 }),
        (&format!("{good}\n").repeat(17), BadKeys::Many),
    ] {
        assert_eq!(Keys::parse(text).expect_err("no keys"), bad, "{text}");
    }
    assert!(Keys::parse(&format!("# the first\n{}\n\n{good}", Keys::fresh().expect("random"))).is_ok());
    assert_eq!(format!("{:?}", Keys::parse(&good).expect("keys")), "Keys(1 of them)", "keys are not printed");
}
