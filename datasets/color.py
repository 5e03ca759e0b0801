"""The colour set: photographs of objects of one colour each; SDIT (thesis table 6.3) and M&MNets (figure 4.5)."""

from pathlib import Path

from bench import Dataset, Item, UserError, register
from bench.datasets.layouts import class_folders, entry, inside


@register
class Color(Dataset):
    """11 colours with 1,000 images each, green -> yellow by default; `color:red-blue` and so on.

    The thesis draws 800 of the 4,000 images of green, yellow, blue and orange as test set, without a list; here a
    fifth of every colour is held out by hash.
    """

    name = "color"
    domains = ("green", "yellow", "blue", "orange", "black", "brown", "grey", "pink", "purple", "red", "white")
    resolution = 128
    protocol = "sdit"
    homepage = "ask the authors of Weakly supervised domain-specific color naming based on attention (ICPR 2018)"
    license = "unchecked"
    layout = "one folder a colour: black/ blue/ brown/ green/ grey/ orange/ pink/ purple/ red/ white/ yellow/"
    paper = "thesis chapter 6, table 6.3 (four colours); chapter 4, appendix A.3.2 (eleven)"
    compare = "SDIT's accuracies and LPIPS of table 6.3, with another draw and another classifier"

    def scan(self, root: Path) -> list[Item]:
        place = inside(root, "color", "colors")
        mend = f"{self.name} needs {self.layout}"
        folders = class_folders(place, mend)
        folders.setdefault("grey", folders.pop("gray", []))
        missing = [colour for colour in self.domains if not folders.get(colour)]
        if missing:
            raise UserError(f"{place} has no folder {missing[0]}/ with images; {mend}")
        return [entry(root, file, colour, below=place) for colour in self.domains for file in folders[colour]]
