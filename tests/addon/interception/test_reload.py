"""When settings are read again; what comes of that is in tests/integration/test_reload.py."""

from addon.configuration.settings import load_settings
from addon.interception.reload import Reloader


def test_a_changed_file_is_read_once_whoever_asks_first(tmp_path):
    file = tmp_path / "config.json"
    file.write_text('{"claude": {"simulate": true}}')
    given = {"config": str(file)}
    read = []

    def reread():
        read.append(file.read_text())
        return load_settings(given)

    reloader = Reloader(load_settings(given), reread, lambda _settings: None)
    reloader.reload_if_changed()
    assert read == []
    file.write_text('{"claude": {"simulate": true, "max_tokens": 100}}')
    reloader.reload()  # as SIGHUP has it
    reloader.reload_if_changed()
    assert len(read) == 1
    assert reloader.settings.claude.max_tokens == 100
    file.write_text('{"claude": {"simulate": true, "max_tokens": 20}}')
    reloader.reload_if_changed()
    assert len(read) == 2
