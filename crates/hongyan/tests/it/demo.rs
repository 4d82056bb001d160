//! The README's first command.

use crate::program::hongyan;

#[test]
fn the_demo_sees_every_step_in_both_languages() {
    for (lang, title, last) in
        [("zh_CN.UTF-8", "鸿雁演示", "对账"), ("en_US.UTF-8", "Hongyan demo", "The books agree")]
    {
        let directory = tempfile::tempdir().unwrap();
        // Its throw-away directory goes where the test can see that it is thrown away.
        let output = hongyan(directory.path())
            .env("LANG", lang)
            .env("TMPDIR", directory.path())
            .args(["demo", "--once"])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains(title) && text.contains(last), "{text}");
        assert_eq!(text.matches('✓').count(), 14, "{text}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is left behind");
    }
}
