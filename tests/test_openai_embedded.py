"""`/v1/images/generations` with our own model behind it."""

import pytest

from gouache.contract import BUILT_IN_GATEWAY
from gouache.settings import Settings
from tests.openai_clients import fetched, official, opened, picture
from tests.served import served


@pytest.mark.embedded
def test_our_own_model_draws_a_logo_without_its_ground(tmp_path):
    with (
        served(tmp_path, engine=Settings.model_fields["engine"].default) as server,
        official(server.url, timeout=300) as client,
    ):
        answer = client.images.generate(
            prompt="A logo of a bakery, flat, on a white background",
            model="gpt-image-2",
            background="transparent",
            size="512x512",
            extra_body={"seed": 1, "taskapigatewayuuid": str(BUILT_IN_GATEWAY)},
        )
        assert answer.model == "gouache-1"
        assert answer.background == "transparent", answer.warnings
        image = opened(fetched(server.service.file_url(answer.data[0].image["fileuuid"])))
        assert image.size == (1024, 1024)
        clear = picture(answer.data[0])
        assert (clear.mode, clear.size) == ("RGBA", (512, 512))
        assert clear.getchannel("A").getextrema() == (0, 255)
