"""Photographs and four painters: CycleGAN's sets, as SDIT (thesis table 6.4) and M&MNets (appendix A.3.2) use them."""

from pathlib import Path

from bench import Dataset, Item, register
from bench.datasets.layouts import train_test_folders

PAINTERS = ("monet", "vangogh", "ukiyoe", "cezanne")


@register
class Artworks(Dataset):
    """Photo -> Monet by default, 256x256; `artworks:photo-cezanne`, `artworks:monet-ukiyoe` and so on.

    The split is the official one (testA/, testB/); of the photographs, which are the same in all four archives, 3,000
    train. The thesis prints other sizes without lists (train 3,000 photo, 700 Ukiyo-e, 500 Cezanne, 1,000 Monet; test
    300, 100, 100, 200) of which some exceed what the archives hold, so they cannot be met.
    """

    name = "artworks"
    domains = ("photo", "monet", "vangogh", "ukiyoe", "cezanne")
    train_sizes = {"photo": 3000}
    resolution = 256
    protocol = "sdit"
    homepage = "https://github.com/junyanz/CycleGAN"
    license = "unchecked (paintings: Wikiart; photographs: Flickr)"
    layout = "monet2photo/ vangogh2photo/ ukiyoe2photo/ cezanne2photo/, each with trainA/ testA/ (art) trainB/ testB/"
    paper = "thesis chapter 6, table 6.4; chapter 4, appendix A.3.2"
    compare = "SDIT's accuracies and LPIPS of table 6.4, with another split and another classifier"

    def scan(self, root: Path) -> list[Item]:
        mend = f"extract the CycleGAN archives (again), see {self.homepage}"
        items = train_test_folders(root, root / "monet2photo", "B", "photo", mend)
        for painter in PAINTERS:
            items += train_test_folders(root, root / f"{painter}2photo", "A", painter, mend)
        return items
