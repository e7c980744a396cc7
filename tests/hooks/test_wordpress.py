"""Media in a real WordPress: clean by every way in, and refused when the service cannot make it so."""

import io
import json
import re
import xmlrpc.client

import pytest
from PIL import Image

from tests.hooks.running import REPORT, SECRET, TOKEN, assert_clean, before, make_photo, need
from tests.hooks.wordpress import NEEDS, PASSWORD, USER, wordpress

pytestmark = [pytest.mark.hooks, pytest.mark.slow]


@pytest.fixture(scope="module")
def _site(tmp_path_factory):
    need(*NEEDS)
    with wordpress(tmp_path_factory.mktemp("wordpress")) as site:
        yield site


@pytest.fixture
def site(_site, service, files):
    """The site; after the test no original lies anywhere in it, nor in PHP's temporary folder."""
    _site.option(address=service.address, token=TOKEN, pipeline="cms")
    for path in files(_site.uploads):
        path.unlink()
    yield _site
    for path, data in (files(_site.folder / "site") | files(_site.temporary)).items():
        assert SECRET not in data, path
    log = _site.folder / "debug.log"
    assert "plugins/cloak" not in (log.read_text() if log.exists() else "")


def assert_all_clean(site, files, photo, count=4):
    """The original that WordPress keeps and the sizes that it makes: 768, 300 and 150 pixels wide."""
    stored = files(site.uploads)
    assert len(stored) == count, sorted(path.name for path in stored)
    for data in stored.values():
        assert_clean(data, photo)


def test_a_form_stores_only_clean_files(site, photo, files):
    number, message = site.by_form(photo)
    assert (bool(number), message) == (True, "")
    assert_all_clean(site, files, photo)


def test_a_large_photo_is_clean_in_its_scaled_copy_and_all_sizes(site, files):
    large = make_photo(size=(2700, 1800))
    assert site.by_form(large)[0]
    assert any("-scaled" in path.name for path in files(site.uploads))
    assert_all_clean(site, files, large, count=8)


def test_the_form_without_scripts_stores_only_clean_files(site, photo, files):
    site.by_plain_form(photo)
    assert_all_clean(site, files, photo)


@pytest.mark.parametrize("multipart", [False, True])
def test_rest_stores_only_clean_files(site, photo, files, multipart):
    answer = site.by_rest(photo, multipart=multipart)
    assert answer.status_code == 201, answer.text
    assert_all_clean(site, files, photo)
    assert "Kept-Secret" not in answer.text


@pytest.mark.parametrize("method", ["metaWeblog.newMediaObject", "wp.uploadFile"])
def test_xmlrpc_stores_only_clean_files(site, photo, files, method):
    assert site.by_xmlrpc(photo, method=method)["type"] == "image/jpeg"
    assert_all_clean(site, files, photo)


def test_a_multicall_of_xmlrpc_stores_only_clean_files(site, photo, files):
    server = xmlrpc.client.ServerProxy(f"{site.address}/xmlrpc.php")
    calls = xmlrpc.client.MultiCall(server)
    struct = {"name": "a.jpg", "type": "image/jpeg", "bits": xmlrpc.client.Binary(photo)}
    calls.metaWeblog.newMediaObject(1, USER, PASSWORD, struct)
    assert next(iter(calls()))["type"] == "image/jpeg"
    assert_all_clean(site, files, photo)


def test_a_stranger_at_xmlrpc_gets_no_work_out_of_the_service(site, service, photo, files):
    service.stop()
    with pytest.raises(xmlrpc.client.Fault, match="Incorrect username or password"):
        site.by_xmlrpc(photo, password="wrong")
    assert files(site.uploads) == {}


SIDELOAD = """
$file = ['name' => 'photo.jpg', 'tmp_name' => $argv[1], 'size' => filesize($argv[1]), 'error' => 0];
$made = %s;
echo json_encode(is_wp_error($made) ? ['error' => $made->get_error_message()] : $made);
"""


@pytest.fixture
def sideload(site, photo):
    """A function that runs PHP with the photo in `$file`, as another plugin would: what it gives."""

    def run(code):
        path = site.temporary / "downloaded.tmp"
        path.write_bytes(photo)
        try:
            return json.loads(site.php(SIDELOAD % code, path))
        finally:
            path.unlink(missing_ok=True)

    return run


def test_a_sideload_stores_only_clean_files(site, sideload, photo, files):
    assert isinstance(sideload("media_handle_sideload($file, 0)"), int)
    assert_all_clean(site, files, photo)


def test_an_upload_with_an_action_of_its_own_meets_the_guard(site, sideload, service, photo, files):
    move = "_wp_handle_upload($file, ['test_form' => false], null, 'import_of_another_plugin')"
    sideload(move)
    (stored,) = files(site.uploads).values()
    assert_clean(stored, photo)
    service.stop()
    assert "could not be moved" in sideload(move)["error"]
    assert len(files(site.uploads)) == 1


def test_bytes_that_another_plugin_stores_are_refused_unless_clean(site, sideload, photo, files):
    assert "cannot be made safe" in sideload("wp_upload_bits('a.jpg', null, file_get_contents($argv[1]))")["error"]
    assert "cannot be made safe" in sideload("wp_upload_bits('a.pdf', null, file_get_contents($argv[1]))")["error"]
    assert files(site.uploads) == {}
    assert not sideload("wp_upload_bits('a.jpg', null, cloak_clean_bits(file_get_contents($argv[1])))")["error"]
    (stored,) = files(site.uploads).values()
    assert_clean(stored, photo)


def test_other_files_pass(site, files):
    assert not json.loads(site.php("echo json_encode(wp_upload_bits('a.txt', null, 'Words'));"))["error"]
    assert list(files(site.uploads).values()) == [b"Words"]


def test_a_stopped_service_refuses_every_way_in(site, service, sideload, photo, files):
    service.stop()
    words = "does not answer. Try again in a few minutes"
    assert words in site.by_form(photo)[1]
    assert words in site.by_plain_form(photo)
    for multipart in (False, True):
        answer = site.by_rest(photo, multipart=multipart)
        assert (answer.status_code, words in answer.json()["message"]) == (500, True)
    with pytest.raises(xmlrpc.client.Fault, match=words):
        site.by_xmlrpc(photo)
    assert words in sideload("media_handle_sideload($file, 0)")["error"]
    assert files(site.uploads) == {}


def test_a_text_file_named_jpg_is_refused_with_a_reason(site, files):
    number, message = site.by_form(b"These are words, and no photo.")
    assert number is None
    assert "could not be made safe to publish" in message
    assert "image" in message
    for multipart in (False, True):
        answer = site.by_rest(b"These are words, and no photo.", multipart=multipart)
        assert (answer.status_code, "could not be made safe" in answer.json()["message"]) == (500, True)
    with pytest.raises(xmlrpc.client.Fault, match="could not be made safe"):
        site.by_xmlrpc(b"These are words, and no photo.")
    assert files(site.uploads) == {}


@pytest.fixture(scope="module")
def big():
    made = make_photo(noise=110, size=(4500, 3000), quality=98)
    assert len(made) > 30_000_000
    return made


def assert_original_clean(site, files, photo):
    (stored,) = (data for path, data in files(site.uploads).items() if path.name == "photo.jpg")
    assert len(stored) > 20_000_000
    assert_clean(stored, photo)


def test_a_photo_of_30_megabytes_is_stored_clean_by_the_form(site, big, files):
    number, message = site.by_form(big)
    assert (bool(number), message) == (True, "")
    assert_original_clean(site, files, big)


def test_a_photo_of_30_megabytes_is_stored_clean_by_rest(site, big, files):
    answer = site.by_rest(big)
    assert answer.status_code == 201, answer.text
    assert_original_clean(site, files, big)


def test_a_photo_of_30_megabytes_is_stored_clean_by_xmlrpc_where_php_has_the_memory(site, big, files):
    with site.configured("WP_MEMORY_LIMIT", "512M"):
        assert site.by_xmlrpc(big)["type"] == "image/jpeg"
    assert_original_clean(site, files, big)


def test_a_photo_that_php_has_no_memory_for_is_refused_with_a_reason(site, big, photo, files):
    words = "too large for the memory that PHP has"
    with pytest.raises(xmlrpc.client.Fault, match=words):
        site.by_xmlrpc(big)
    with site.configured("WP_MAX_MEMORY_LIMIT", "128M"):  # to which WordPress raises it for photos; the default is 256
        assert words in site.by_form(big + bytes(10_000_000))[1]
    assert files(site.uploads) == {}
    assert site.by_xmlrpc(photo)["type"] == "image/jpeg"


def test_a_photo_that_a_person_must_look_at_is_refused(site, photo, landscape, files):
    site.option(pipeline="newsroom")
    for shown in (landscape, photo):
        assert "before a person has accepted it" in site.by_form(shown)[1]
    assert files(site.uploads) == {}


def test_a_pipeline_that_the_service_does_not_know_is_said(site, photo, files):
    site.option(pipeline="none-such")
    assert "unknown pipeline" in site.by_form(photo)[1]
    assert files(site.uploads) == {}


def test_a_wrong_token_is_said(site, photo, files):
    site.option(token="another")
    assert "token" in site.by_form(photo)[1]
    assert files(site.uploads) == {}


def test_another_server_at_the_address_is_not_believed(site, photo, files):
    site.option(address=f"{site.address}/wp-includes/images/blank.gif?")
    assert site.by_form(photo)[0] is None
    site.option(address=site.address)
    assert site.by_form(photo)[0] is None
    assert files(site.uploads) == {}


def test_faces_in_sight_are_taken_where_the_operators_pipeline_leaves_them(site, service, photo):
    answer = io.BytesIO()
    Image.new("RGB", (840, 560)).save(answer, "JPEG")
    report = {"Cloak-Report": '{"status":"perturbed","verified":["faces"]}'}
    with before(service, (200, REPORT | report, answer.getvalue())) as server:
        site.option(address=server)
        assert site.by_form(photo)[0] is not None


def test_an_answer_without_an_end_may_have_broken_off(site, service, photo, files):
    with before(service, (200, REPORT | {"Connection": "close"}, photo[:1000])) as server:
        site.option(address=server)
        assert "did not come whole" in site.by_form(photo)[1]
    assert files(site.uploads) == {}


def save(site, **values):
    """The settings form, as the administrator sends it: the page that comes back."""
    page = "wp-admin/options-general.php?page=cloak"
    form = {f"cloak[{key}]": value for key, value in values.items()}
    form |= {"option_page": "cloak", "action": "update", "_wpnonce": site.field(page, "_wpnonce")}
    form |= {"_wp_http_referer": f"/{page}"}
    return site.browser.post(f"{site.address}/wp-admin/options.php", data=form, follow_redirects=True).text


def press_test(site):
    text = site.page("wp-admin/options-general.php?page=cloak").text
    form = text[text.index("admin-post.php") :]
    nonce = re.search(r'name="_wpnonce" value="([^"]+)"', form)[1]
    data = {"action": "cloak_test", "_wpnonce": nonce}
    return site.browser.post(f"{site.address}/wp-admin/admin-post.php", data=data, follow_redirects=True).text


def test_the_settings_page_saves_and_its_button_tries_the_service(site, service):
    site.option(address="http://127.0.0.1:1", token="", pipeline="cms")
    assert "does not answer" in press_test(site)
    assert "Settings saved" in save(site, address=service.address, token=TOKEN, pipeline="photographer")
    assert "Cloak works" in press_test(site)
    page = site.page("wp-admin/options-general.php?page=cloak").text
    assert TOKEN not in page
    assert "photographer" in page


def test_the_settings_page_refuses_what_cannot_be(site, service):
    answer = save(site, address="ftp://example.org", token="with space", pipeline="../etc")
    assert answer.count("notice-error") == 3
    assert "Cloak works" in press_test(site)


def test_another_address_does_not_get_the_token(site):
    save(site, address="http://127.0.0.1:1", token="", pipeline="cms")
    assert json.loads(site.php("echo json_encode(cloak_settings());"))["token"] == ""


def test_the_settings_page_is_for_administrators_only(site):
    answer = site.page("wp-admin/admin-post.php?action=cloak_test")
    assert "Cloak works" not in answer.text
    with_cookies, site.browser.cookies = site.browser.cookies, {}
    try:
        assert "wp-login.php" in str(site.page("wp-admin/options-general.php?page=cloak").url)
    finally:
        site.browser.cookies = with_cookies
