"""The networks of U-GAT-IT in PyTorch, rebuilt from a description of the authors' behaviour.

Module names, parameter shapes and the order of the state dicts are those of the authors'
checkpoints (znxlwm/UGATIT-pytorch), so that `load_state_dict` goes both ways. The description,
with its surprises (three kinds of variance, un-normalised attention in D), is docs/ugatit.md;
verify.py holds these networks against tensors recorded from the authors' own code.
"""
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm

EPS = 1e-5
NETS = ("genA2B", "genB2A", "disGA", "disGB", "disLA", "disLB")
GENERATORS, DISCRIMINATORS = NETS[:2], NETS[2:]


def mix_norms(x, rho):
    """rho * instance norm + (1 - rho) * layer norm, both with the unbiased variance."""
    def normalise(dims):
        var = x.var(dims, unbiased=True, keepdim=True)
        return (x - x.mean(dims, keepdim=True)) / torch.sqrt(var + EPS)
    return rho * normalise((2, 3)) + (1 - rho) * normalise((1, 2, 3))


class AdaILN(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.rho = nn.Parameter(torch.full((1, channels, 1, 1), 0.9))

    def forward(self, x, gamma, beta):
        return mix_norms(x, self.rho) * gamma[:, :, None, None] + beta[:, :, None, None]


class ILN(nn.Module):
    def __init__(self, channels):
        super().__init__()
        shape = (1, channels, 1, 1)
        self.rho = nn.Parameter(torch.zeros(shape))
        self.gamma = nn.Parameter(torch.ones(shape))
        self.beta = nn.Parameter(torch.zeros(shape))

    def forward(self, x):
        return mix_norms(x, self.rho) * self.gamma + self.beta


def padded_conv(c_in, c_out, k, pad, stride=1):
    return [nn.ReflectionPad2d(pad), nn.Conv2d(c_in, c_out, k, stride, bias=False)]


class ResidualBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv_block = nn.Sequential(*padded_conv(c, c, 3, 1), nn.InstanceNorm2d(c), nn.ReLU(),
                                        *padded_conv(c, c, 3, 1), nn.InstanceNorm2d(c))

    def forward(self, x):
        return x + self.conv_block(x)


class AdaptiveBlock(nn.Module):
    """A residual block whose two AdaILNs share gamma and beta."""

    def __init__(self, c):
        super().__init__()
        self.pad = nn.ReflectionPad2d(1)
        self.conv1 = nn.Conv2d(c, c, 3, bias=False)
        self.norm1 = AdaILN(c)
        self.conv2 = nn.Conv2d(c, c, 3, bias=False)
        self.norm2 = AdaILN(c)

    def forward(self, x, gamma, beta):
        y = F.relu(self.norm1(self.conv1(self.pad(x)), gamma, beta))
        return x + self.norm2(self.conv2(self.pad(y)), gamma, beta)


def class_activation(net, x):
    """The attention block of G and D up to the 1x1 convolution: (z before activation, cam logit).

    The channel weight is the module's parameter: under spectral norm that is `weight_orig`, while
    the logit comes from the normalised weight. So the authors' D attends with the former.
    """
    logits, scaled = [], []
    for pooled, fc in ((F.adaptive_avg_pool2d(x, 1), net.gap_fc), (F.adaptive_max_pool2d(x, 1), net.gmp_fc)):
        logits.append(fc(pooled.flatten(1)))
        scaled.append(x * next(fc.parameters())[:, :, None, None])
    return net.conv1x1(torch.cat(scaled, 1)), torch.cat(logits, 1)


class Generator(nn.Module):
    def __init__(self, ch=64, n_res=4, light=True, size=256):
        super().__init__()
        c, self.light, self.n_res = 4 * ch, light, n_res
        down = padded_conv(3, ch, 7, 3) + [nn.InstanceNorm2d(ch), nn.ReLU()]
        for width in (ch, 2 * ch):
            down += padded_conv(width, 2 * width, 3, 1, 2) + [nn.InstanceNorm2d(2 * width), nn.ReLU()]
        down = nn.Sequential(*down, *(ResidualBlock(c) for _ in range(n_res)))
        # registered in the order of the authors' state dict; constructed in the order of theirs
        gap_fc, gmp_fc = nn.Linear(c, 1, bias=False), nn.Linear(c, 1, bias=False)
        conv1x1 = nn.Conv2d(2 * c, c, 1)
        flat = c if light else (size // 4) ** 2 * c
        fc = nn.Sequential(nn.Linear(flat, c, bias=False), nn.ReLU(), nn.Linear(c, c, bias=False), nn.ReLU())
        self.gap_fc, self.gmp_fc, self.conv1x1 = gap_fc, gmp_fc, conv1x1
        self.gamma, self.beta = nn.Linear(c, c, bias=False), nn.Linear(c, c, bias=False)
        for i in range(n_res):
            setattr(self, f"UpBlock1_{i + 1}", AdaptiveBlock(c))
        up = []
        for width in (c, c // 2):
            up += [nn.Upsample(scale_factor=2, mode="nearest"), *padded_conv(width, width // 2, 3, 1),
                   ILN(width // 2), nn.ReLU()]
        self.DownBlock, self.FC = down, fc
        self.UpBlock2 = nn.Sequential(*up, *padded_conv(ch, 3, 7, 3), nn.Tanh())

    def forward(self, image):
        z, cam_logit = class_activation(self, self.DownBlock(image))
        x = F.relu(z)
        heatmap = x.sum(1, keepdim=True)
        style = self.FC(F.adaptive_avg_pool2d(x, 1).flatten(1) if self.light else x.flatten(1))
        gamma, beta = self.gamma(style), self.beta(style)
        for i in range(self.n_res):
            x = getattr(self, f"UpBlock1_{i + 1}")(x, gamma, beta)
        return self.UpBlock2(x), cam_logit, heatmap


class Discriminator(nn.Module):
    def __init__(self, ch=64, n_layers=5):
        super().__init__()
        widths = [3] + [ch * 2 ** i for i in range(n_layers - 1)]
        layers = []
        for i, (c_in, c_out) in enumerate(zip(widths, widths[1:])):
            stride = 1 if i == n_layers - 2 else 2
            layers += [nn.ReflectionPad2d(1), spectral_norm(nn.Conv2d(c_in, c_out, 4, stride)),
                       nn.LeakyReLU(0.2)]
        c = widths[-1]
        self.gap_fc = spectral_norm(nn.Linear(c, 1, bias=False))
        self.gmp_fc = spectral_norm(nn.Linear(c, 1, bias=False))
        self.conv1x1 = nn.Conv2d(2 * c, c, 1)
        self.pad = nn.ReflectionPad2d(1)
        self.conv = spectral_norm(nn.Conv2d(c, 1, 4, bias=False))
        self.model = nn.Sequential(*layers)

    def forward(self, image):
        z, cam_logit = class_activation(self, self.model(image))
        x = F.leaky_relu(z, 0.2)
        return self.conv(self.pad(x)), cam_logit, x.sum(1, keepdim=True)


def clip_rho(*nets):
    """After each step of G: every rho back into [0, 1]."""
    for net in nets:
        for module in net.modules():
            if hasattr(module, "rho"):
                module.rho.data.clamp_(0, 1)


def build(ch=64, n_res=4, light=True, size=256, dis_layers=(7, 5), dtype=torch.float32, seed=None):
    """The six networks {name: module} with PyTorch's default initialisation, in training mode."""
    if seed is not None:
        torch.manual_seed(seed)
    nets = {name: Generator(ch, n_res, light, size) for name in GENERATORS}
    for name in DISCRIMINATORS:
        nets[name] = Discriminator(ch, dis_layers[0 if "G" in name else 1])
    return {name: net.to(dtype) for name, net in nets.items()}
