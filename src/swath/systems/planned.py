"""The systems that Swath sets out to hold. A row counts until a file of its id stands in its family's folder."""

from __future__ import annotations

from typing import NamedTuple


class Planned(NamedTuple):
    """A system that may not be built yet."""

    id: str
    family: str
    title: str


PLANNED = tuple(
    Planned(*(part.strip() for part in line.split("|")))
    for line in """
deeptrinet | segmentation | DeepTriNet: Tri-Level Attention Based DeepLabv3+ for Semantic Segmentation of Satellite Images
effunetpp | segmentation | Performance Analysis of Various EfficientNet Based U-Net++ for Building Extraction
landcover_ai | segmentation | LandCover.ai: Dataset for Automatic Mapping of Buildings, Woodlands, Water and Roads
floodnet | segmentation | FloodNet: A High Resolution Aerial Imagery Dataset for Post Flood Scene Understanding
cloud_adapter | segmentation | Cloud-Adapter: Adapting Vision Foundation Models for Cloud Segmentation
cloudtracks | segmentation | CloudTracks: A Dataset for Localizing Ship Tracks in Satellite Images of Clouds
bhutan_rice | segmentation | Rice Mapping in Bhutan with Deep Learning (ACES)
sen4agrinet | segmentation | A Sentinel-2 Multi-Year, Multi-Country Benchmark for Crop Classification and Segmentation
oam_tcd | segmentation | OAM-TCD: A Globally Diverse Dataset of High-Resolution Tree Cover Maps
fusu | segmentation | FUSU: A Multi-temporal-source Land Use Change Segmentation Dataset
roofnet | segmentation | RoofNet: A Global Multimodal Dataset for Roof Material Classification
legnet | detection | LEGNet: Lightweight Edge-Gaussian Driven Network for Low-Quality Remote Sensing Image Object Detection
rwds | detection | Benchmarking Object Detectors under Real-World Distribution Shifts in Satellite Imagery
star | detection | STAR: Scene Graph Generation in Large-Size Satellite Imagery
treeformer | regression | TreeFormer: A Semi-Supervised Transformer-Based Framework for Tree Counting
bright | change | BRIGHT: A Globally Distributed Multimodal Building Damage Assessment Dataset
crasar_udroids | change | CRASAR-U-DROIDs: Building Alignment and Damage Assessment in Georectified sUAS Imagery
suas_alignment | change | Non-Uniform Spatial Alignment Errors in sUAS Imagery From Wide-Area Disasters
change_agent | change | Change-Agent: Towards Interactive Comprehensive Remote Sensing Change Interpretation
agbd | regression | AGBD: A Global-scale Biomass Dataset
gfm_agb | regression | Fine-tuning of Geospatial Foundation Models for Aboveground Biomass Estimation
wilds2 | regression | Extending the WILDS Benchmark for Unsupervised Adaptation
canadafiresat | segmentation | CanadaFireSat: Toward High-Resolution Wildfire Forecasting with Multiple Modalities
sio_mapper | mapping | SIO-Mapper: Lane-Level HD Maps from Satellite Images and OpenStreetMap
selective_mae | pretraining | Harnessing Massive Satellite Imagery with Efficient Masked Image Modeling
satmae_pp | pretraining | Rethinking Transformers Pre-training for Multi-Spectral Satellite Imagery
channelvit | pretraining | Channel Vision Transformers: An Image Is Worth 1 x 16 x 16 Words
softcon | pretraining | Multi-Label Guided Soft Contrastive Learning for Efficient Earth Observation Pretraining
nereus_sar | pretraining | Efficient Self-Supervised Learning for Earth Observation via Dynamic Dataset Curation
prithvi | pretraining | Foundation Models for Generalist Geospatial Artificial Intelligence
satvision_toa | pretraining | SatVision-TOA: A Geospatial Foundation Model for Coarse-Resolution All-Sky Remote Sensing Imagery
satdifuser | pretraining | Can Generative Geospatial Diffusion Models Excel as Discriminative Geospatial Foundation Models?
dynamicvis | pretraining | DynamicVis: An Efficient and General Visual Foundation Model for Remote Sensing
resize_norm | pretraining | Revisiting Pre-trained Remote Sensing Model Benchmarks: Resizing and Normalization Matters
m3leo | pretraining | M3LEO: A Multi-Modal, Multi-Label Earth Observation Dataset
torchgeo | pretraining | TorchGeo: Deep Learning With Geospatial Data
satclip | location | SatCLIP: Global, General-Purpose Location Embeddings with Satellite Imagery
astroloc | location | AstroLoc: Robust Space to Ground Image Localizer
game4loc | location | Game4Loc: A UAV Geo-Localization Benchmark from Game Data
sthn | location | STHN: Deep Homography Estimation for UAV Thermal Geo-localization with Satellite Imagery
uasthn | location | UASTHN: Uncertainty-Aware Deep Homography Estimation for UAV Satellite-Thermal Geo-localization
geodistill | location | GeoDistill: Geometry-Guided Self-Distillation for Weakly Supervised Cross-View Localization
rva_geo | location | Recall versus Area and Ensembling for World-Wide Image Geolocation
search_tta | location | Search-TTA: A Multimodal Test-Time Adaptation Framework for Visual Search in the Wild
geollm | language | GeoLLM: Extracting Geospatial Knowledge from Large Language Models
li_survey | location | Unlocking Location Intelligence: A Survey from Deep Learning to the LLM Era
urban_typology | location | The "Paris-end" of Town? Deriving Urban Typologies Using Three Imagery Types
urbanclip | location | UrbanCLIP: Learning Text-enhanced Urban Region Profiling with Contrastive Language-Image Pretraining
rsvqa | language | RSVQA: Visual Question Answering for Remote Sensing Data
sar_rsvqa | language | SAR Strikes Back: A New Hope for RSVQA
rs_rag | language | RS-RAG: Bridging Remote Sensing Imagery and Comprehensive Knowledge
vhs_mirage | language | Visual Haystacks: A Vision-Centric Needle-In-A-Haystack Benchmark
skyscript | language | SkyScript: A Large and Semantically Diverse Vision-Language Dataset for Remote Sensing
gaia | language | GAIA: A Global, Multi-modal, Multi-scale Vision-Language Dataset
closp | language | Towards Text-to-Remote-Sensing-Image Retrieval beyond RGB (CLOSP)
rscapret | language | Large Language Models for Captioning and Retrieving Remote Sensing Images
fourk_agent | restoration | 4KAgent: Agentic Any Image to 4K Super-Resolution
vlm_harness | language | Visual AI and Linguistic Intelligence Through Steerability and Composability
pmaa | restoration | PMAA: A Progressive Multi-scale Attention Autoencoder Model for Cloud Removal
repdiff | generation | Learned Representation-Guided Diffusion Models for Large-Image Generation
zoomldm | generation | ZoomLDM: Latent Diffusion Model for Multi-scale Image Generation
crossviewdiff | generation | CrossViewDiff: A Cross-View Diffusion Model for Satellite-to-Street View Synthesis
satdn | mapping | Sat-DN: Implicit Surface Reconstruction from Multi-View Satellite Images
imgconfound | causal | Integrating Earth Observation Data into Causal Inference
imghet | causal | Image-based Treatment Effect Heterogeneity
eohet_rct | causal | Effect Heterogeneity with Earth Observation in Randomized Controlled Trials
methane_onboard | spectral | Optimizing Methane Detection On Board Satellites
euclid_mer | sky | Euclid MER Processing Function: from Images to Multi-Wavelength Catalogues
denguenet | regression | DengueNet: Dengue Prediction using Spatiotemporal Satellite Imagery
calicrop | regression | California Crop Yield Benchmark
geoplant | regression | GeoPlant: Spatial Plant Species Prediction Dataset
""".strip().splitlines()
)
